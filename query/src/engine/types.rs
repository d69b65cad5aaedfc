//! The names of types as `hearback schema` and the engines that read the tables have them.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::DataType;
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{DescribeTable, LogicalPlan, LogicalPlanBuilder};

/// A type as Athena (Hive) and Spark SQL spell it; what they do not have, as Arrow does.
pub(crate) fn sql_name(kind: &DataType) -> String {
    let name = match kind {
        DataType::Boolean => "boolean",
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int32 => "int",
        DataType::Int64 => "bigint",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(..) => "timestamp",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Decimal128(digits, scale) => return format!("decimal({digits},{scale})"),
        DataType::Dictionary(_, values) => return sql_name(values),
        DataType::List(element) | DataType::LargeList(element) => {
            return format!("array<{}>", sql_name(element.data_type()));
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return kind.to_string() };
            let names: Vec<String> =
                fields.iter().map(|field| sql_name(field.data_type())).collect();
            return format!("map<{}>", names.join(","));
        }
        DataType::Struct(fields) => {
            let named = |name: &str, kind| format!("{name}:{}", sql_name(kind));
            let fields: Vec<String> =
                fields.iter().map(|field| named(field.name(), field.data_type())).collect();
            return format!("struct<{}>", fields.join(","));
        }
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The answer to DESCRIBE: the columns with the names of their types.
pub(super) fn described(question: &DescribeTable) -> Result<LogicalPlan> {
    let fields = question.schema.fields();
    let names = fields.iter().map(|field| field.name().as_str());
    let kinds = fields.iter().map(|field| sql_name(field.data_type()));
    let nullable = fields.iter().map(|field| if field.is_nullable() { "YES" } else { "NO" });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(StringArray::from_iter_values(kinds)),
        Arc::new(StringArray::from_iter_values(nullable)),
    ];
    let schema = Arc::clone(question.output_schema.inner());
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let table = MemTable::try_new(schema, vec![vec![batch]])?;
    LogicalPlanBuilder::scan("described", provider_as_source(Arc::new(table)), None)?.build()
}
