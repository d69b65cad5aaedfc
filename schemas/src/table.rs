//! What a table is: named, typed, documented columns, and the schemas derived from them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde::Serialize;
use serde_json::{Value, json};

/// The types a column of the lake can have. Each has one spelling in Arrow, Delta, Athena and Spark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// UTF-8 text.
    String,
    /// Signed 32-bit integer.
    Int,
    /// Signed 64-bit integer.
    BigInt,
    /// Microseconds since 1970-01-01T00:00:00Z, in UTC.
    Timestamp,
    /// Days since 1970-01-01.
    Date,
    /// Bytes as they came.
    Binary,
    /// A list of texts.
    StringList,
    /// From a text to a list of texts, the shape of SES message tags.
    StringListMap,
}

impl ColumnKind {
    /// The Arrow type, with the field names that Delta prescribes for lists and maps.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
            Self::Binary => DataType::Binary,
            Self::StringList => {
                DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)))
            }
            Self::StringListMap => {
                let entries = Fields::from(vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", Self::StringList.arrow(), true),
                ]);
                let entries = Field::new("key_value", DataType::Struct(entries), false);
                DataType::Map(Arc::new(entries), false)
            }
        }
    }

    /// The type in a Delta table's `schemaString` (Delta protocol, "Schema Serialization Format").
    #[must_use]
    pub fn delta(self) -> Value {
        match self {
            Self::String => json!("string"),
            Self::Int => json!("integer"),
            Self::BigInt => json!("long"),
            Self::Timestamp => json!("timestamp"),
            Self::Date => json!("date"),
            Self::Binary => json!("binary"),
            Self::StringList => {
                json!({"type": "array", "elementType": "string", "containsNull": true})
            }
            Self::StringListMap => json!({
                "type": "map",
                "keyType": "string",
                "valueType": Self::StringList.delta(),
                "valueContainsNull": true,
            }),
        }
    }

    /// The type as Athena (Hive) and Spark SQL spell it; they agree on all of ours.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Binary => "binary",
            Self::StringList => "array<string>",
            Self::StringListMap => "map<string,array<string>>",
        }
    }
}

/// One column: its name, type, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Name, in snake case.
    pub name: &'static str,
    /// Type.
    pub kind: ColumnKind,
    /// Whether every row has a value.
    pub required: bool,
    /// What the value is, with its unit and source.
    pub meaning: &'static str,
}

impl Column {
    /// A column that every row fills.
    pub(crate) const fn required(
        name: &'static str,
        kind: ColumnKind,
        meaning: &'static str,
    ) -> Self {
        Self { name, kind, required: true, meaning }
    }

    /// A column that is NULL where nothing is known.
    pub(crate) const fn optional(
        name: &'static str,
        kind: ColumnKind,
        meaning: &'static str,
    ) -> Self {
        Self { name, kind, required: false, meaning }
    }
}

/// A table of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Name of the table and of its folder under the lake.
    pub name: &'static str,
    /// What a row is.
    pub meaning: &'static str,
    /// All columns, partition columns included, in the order in which they are shown.
    pub columns: &'static [Column],
    /// Columns that are folders rather than part of the data files.
    pub partition_columns: &'static [&'static str],
}

impl Table {
    /// The columns as an Arrow schema, partition columns included.
    #[must_use]
    pub fn arrow_schema(&self) -> SchemaRef {
        arrow_schema_of(self.columns.iter())
    }

    /// The columns that stand in the data files: all but the partition columns.
    #[must_use]
    pub fn file_schema(&self) -> SchemaRef {
        arrow_schema_of(self.columns.iter().filter(|column| !self.is_partition(column.name)))
    }

    /// The `schemaString` of the table's Delta metadata.
    #[must_use]
    pub fn delta_schema(&self) -> Value {
        let fields: Vec<Value> = self
            .columns
            .iter()
            .map(|column| {
                json!({
                    "name": column.name,
                    "type": column.kind.delta(),
                    "nullable": !column.required,
                    "metadata": {"comment": column.meaning},
                })
            })
            .collect();
        json!({"type": "struct", "fields": fields})
    }

    /// Finds a column by name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether `name` is a partition column.
    #[must_use]
    pub fn is_partition(&self, name: &str) -> bool {
        self.partition_columns.contains(&name)
    }
}

fn arrow_schema_of<'a>(columns: impl Iterator<Item = &'a Column>) -> SchemaRef {
    let fields: Vec<Field> = columns
        .map(|column| Field::new(column.name, column.kind.arrow(), !column.required))
        .collect();
    Arc::new(Schema::new(fields))
}
