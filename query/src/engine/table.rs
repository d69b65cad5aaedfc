//! A table of the lake as a plain Parquet scan: the Delta snapshot's files, with their partition
//! values and statistics, pruned before anything is opened.
//!
//! Invariant: the scan reads the files of one snapshot and nothing else, and never writes.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{Column, DFSchema, ScalarValue, Statistics, not_impl_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, CachedParquetMetaData,
};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt, TryStreamExt, stream};
use hearback_ingest::lake::{DataFile, has_bloom_filter};
use hearback_schemas::{EventType, Frequency, Table};
use hearback_transform::decoded_schema;
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::{ArrowSchemaConverter, parquet_to_arrow_schema};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::SchemaDescriptor;

use super::bounds::{FilesBounds, statistics};

/// Bytes read from the end of a file in the hope that the whole footer is in them: one request
/// instead of two on an object store.
const FOOTER_HINT: usize = 128 * 1024;

/// So many columns beside those of the filter are worth choosing rows for while decoding; measured.
const WORTH_CHOOSING: usize = 3;

/// Footers that are read at once where all of them are needed first.
const FOOTERS_AT_ONCE: usize = 16;

/// How statements see texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Texts {
    /// As views: comparing and grouping them copies nothing.
    Views,
    /// As views; columns whose values repeat as codes of a dictionary.
    Coded,
}

/// The columns of a table, in the shapes that scans ask for. The same at every version, and worked out once:
/// so many columns take a while.
pub(super) struct TableColumns {
    texts: Texts,
    /// Columns in the order of the contract.
    schema: SchemaRef,
    /// Columns of the files first, then the partition columns: the order of the scan.
    scan_schema: TableSchema,
    /// The schema of files that were written to the newest definition of the table.
    whole: Option<SchemaDescriptor>,
}

impl TableColumns {
    pub(super) fn new(table: &'static Table, texts: Texts) -> Self {
        let file_schema = with_texts(&table.file_schema(), texts);
        let partition_columns: Vec<FieldRef> = table
            .arrow_schema()
            .fields()
            .iter()
            .filter(|field| table.is_partition(field.name()))
            .cloned()
            .collect();
        Self {
            texts,
            schema: with_texts(&table.arrow_schema(), texts),
            scan_schema: TableSchema::builder(file_schema)
                .with_table_partition_cols(partition_columns)
                .build(),
            whole: ArrowSchemaConverter::new().convert(&table.file_schema()).ok(),
        }
    }

    /// Those of the files' columns that are named, with their positions.
    fn in_files(&self, named: &HashSet<&str>) -> Vec<(usize, &str)> {
        let fields = self.scan_schema.file_schema().fields().iter().enumerate();
        let names = fields.map(|(position, field)| (position, field.name().as_str()));
        names.filter(|(_, name)| named.contains(name)).collect()
    }

    /// Whether a footer says that the file has all columns, as we write them. Then its schema need not be
    /// worked out again, which takes longer than reading a few columns of a day.
    fn is_whole(&self, footer: &ParquetMetaData) -> bool {
        let schema = footer.file_metadata().schema_descr();
        self.whole.as_ref().is_some_and(|whole| whole.root_schema() == schema.root_schema())
    }
}

/// One table of the lake at one version.
pub struct LakeTable {
    table: &'static Table,
    columns: Arc<TableColumns>,
    store: ObjectStoreUrl,
    files: Vec<Arc<DataFile>>,
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeTable")
            .field("table", &self.table.name)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

impl LakeTable {
    pub(super) fn new(
        table: &'static Table,
        columns: Arc<TableColumns>,
        store: ObjectStoreUrl,
        files: Vec<Arc<DataFile>>,
    ) -> Self {
        Self { table, columns, store, files }
    }

    /// The files that may hold a row that passes every filter.
    fn prune(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&DataFile>> {
        let mut files: Vec<&DataFile> = self.files.iter().map(AsRef::as_ref).collect();
        let (exact, inexact): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.is_partition_filter(filter));
        if let Some(filter) = conjunction(exact) {
            files = self.keep_partitions(state, &filter, files)?;
        }
        let Some(filter) = conjunction(inexact) else {
            return Ok(files);
        };
        let schema = DFSchema::try_from(Arc::clone(&self.columns.schema))?;
        let predicate = state.create_physical_expr(filter, &schema)?;
        // A filter that statistics say nothing about is no reason to fail: read everything.
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.columns.schema))
            .try_build(predicate);
        let Ok(predicate) = predicate else {
            return Ok(files);
        };
        let keep = predicate.prune(&FilesBounds { schema: &self.columns.schema, files: &files })?;
        let kept = files.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file);
        Ok(kept.collect())
    }

    /// Evaluates a filter on `event_date` alone over the files' partition values.
    fn keep_partitions<'a>(
        &self,
        state: &dyn Session,
        filter: &Expr,
        files: Vec<&'a DataFile>,
    ) -> Result<Vec<&'a DataFile>> {
        let dates: ArrayRef =
            Arc::new(arrow_array::Date32Array::from_iter(files.iter().map(|file| file.partition)));
        let schema = Arc::new(Schema::new(vec![Field::new("event_date", DataType::Date32, true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![dates])?;
        let expr = state.create_physical_expr(filter.clone(), &DFSchema::try_from(schema)?)?;
        let keep = expr.evaluate(&batch)?.into_array(files.len())?;
        let Some(keep) = keep.as_any().downcast_ref::<BooleanArray>() else {
            return not_impl_err!("a filter that is not true or false");
        };
        let kept = files.into_iter().enumerate().filter_map(|(index, file)| {
            (keep.is_valid(index) && keep.value(index)).then_some(file)
        });
        Ok(kept.collect())
    }

    /// Whether the partition's value alone decides the filter for all rows of a file.
    fn is_partition_filter(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        !columns.is_empty()
            && columns.iter().all(|column| self.table.is_partition(column.name()))
            && !filter.is_volatile()
    }

    fn statistics_of(&self, files: &[PartitionedFile]) -> Result<Statistics> {
        let schema = self.columns.scan_schema.table_schema();
        let known = files.iter().filter_map(|file| file.statistics.as_deref());
        Statistics::try_merge_iter(known, schema)
    }

    /// Positions in the scan's schema of the columns asked for in the contract's order.
    fn scan_projection(&self, projection: Option<&Vec<usize>>) -> Result<Vec<usize>> {
        let all: Vec<usize>;
        let wanted = match projection {
            Some(wanted) => wanted,
            None => {
                all = (0..self.columns.schema.fields().len()).collect();
                &all
            }
        };
        let scan = self.columns.scan_schema.table_schema();
        wanted
            .iter()
            .map(|index| Ok(scan.index_of(self.columns.schema.field(*index).name())?))
            .collect()
    }

    /// The columns that a statement reads or asks for.
    fn named<'a>(
        &'a self,
        projection: Option<&Vec<usize>>,
        filters: &'a [Expr],
    ) -> HashSet<&'a str> {
        let columns = self.columns.schema.fields();
        let mut named: HashSet<&str> = match projection {
            Some(projection) => projection.iter().map(|at| columns[*at].name().as_str()).collect(),
            None => columns.iter().map(|field| field.name().as_str()).collect(),
        };
        named.extend(filters.iter().flat_map(Expr::column_refs).map(Column::name));
        named
    }

    /// Whether rows that a filter drops are better dropped before their other columns are decoded.
    /// Choosing rows while decoding has its price, which a few columns do not bring in unless hardly a row
    /// is chosen.
    fn chooses_first(&self, filters: &[Expr], projection: Option<&Vec<usize>>) -> bool {
        if filters.iter().any(asks_for_rare_types) {
            return true;
        }
        let columns = projection.map_or(self.columns.schema.fields().len(), Vec::len);
        let filtered: HashSet<&Column> = filters.iter().flat_map(Expr::column_refs).collect();
        columns.saturating_sub(filtered.len()) >= WORTH_CHOOSING
    }

    fn config(
        &self,
        state: &dyn Session,
        files: Vec<PartitionedFile>,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<FileScanConfig> {
        let statistics = self.statistics_of(&files)?;
        let runtime = state.runtime_env();
        let readers = CachedParquetFileReaderFactory::new(
            runtime.object_store(&self.store)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let mut options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..Default::default()
        };
        options.global.pushdown_filters |= self.chooses_first(filters, projection);
        // Looking for Bloom filters costs each file as much as its statistics do, and few columns have one.
        // A column need not be in a filter yet: a join looks the values of its smaller side up.
        options.global.bloom_filter_on_read &=
            self.named(projection, filters).into_iter().any(has_bloom_filter);
        let source = ParquetSource::new(self.columns.scan_schema.clone())
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_HINT)
            .with_parquet_file_reader_factory(Arc::new(readers));
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        Ok(FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(self.scan_projection(projection)?))?
            .with_limit(limit)
            .build())
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| {
            if self.is_partition_filter(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.prune(state, filters)?;
        if files.is_empty() {
            let schema = match projection {
                Some(projection) => Arc::new(self.columns.schema.project(projection)?),
                None => Arc::clone(&self.columns.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let named = self.columns.in_files(&self.named(projection, filters));
        let mut files: Vec<PartitionedFile> =
            files.into_iter().map(|file| self.partitioned(file, &named)).collect();
        match self.columns.texts {
            Texts::Views => {
                for part in &mut files {
                    part.arrow_schema = footer_at_hand(&part.object_meta, footers.as_ref())
                        .filter(|footer| self.columns.is_whole(footer))
                        .map(|_| Arc::clone(self.columns.scan_schema.file_schema()));
                }
            }
            Texts::Coded => self.read_schemas(state, &mut files).await?,
        }
        Ok(DataSourceExec::from_data_source(self.config(state, files, projection, filters, limit)?))
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        _input: Arc<dyn ExecutionPlan>,
        _op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        not_impl_err!("writing to the lake from SQL")
    }
}

impl LakeTable {
    /// Says of each file as what its columns are to be read. A reader left to itself reads texts as texts,
    /// and turns them into codes again.
    async fn read_schemas(&self, state: &dyn Session, files: &mut [PartitionedFile]) -> Result<()> {
        let runtime = state.runtime_env();
        let store = runtime.object_store(&self.store)?;
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let mut schemas = Vec::with_capacity(files.len());
        for part in files.iter() {
            schemas.push(self.read_schema(store.as_ref(), &part.object_meta, &footers));
        }
        let schemas: Vec<SchemaRef> =
            stream::iter(schemas).buffered(FOOTERS_AT_ONCE).try_collect().await?;
        for (part, schema) in files.iter_mut().zip(schemas) {
            part.arrow_schema = Some(schema);
        }
        Ok(())
    }

    async fn read_schema(
        &self,
        store: &dyn ObjectStore,
        file: &ObjectMeta,
        footers: &Arc<FileMetadataCache>,
    ) -> Result<SchemaRef> {
        let footer = DFParquetMetadata::new(store, file)
            .with_metadata_size_hint(Some(FOOTER_HINT))
            .with_file_metadata_cache(Some(Arc::clone(footers)))
            .fetch_metadata()
            .await?;
        if self.columns.is_whole(&footer) {
            return Ok(Arc::clone(self.columns.scan_schema.file_schema()));
        }
        let schema = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None)?;
        Ok(with_texts(&schema, self.columns.texts))
    }

    /// A file as the scan wants it, with what is known of the columns that the statement names.
    fn partitioned(&self, file: &DataFile, named: &[(usize, &str)]) -> PartitionedFile {
        let mut part = PartitionedFile::new_from_meta(ObjectMeta {
            location: file.path.clone(),
            last_modified: DateTime::from_timestamp_millis(file.modified_ms).unwrap_or_default(),
            size: file.size,
            e_tag: None,
            version: None,
        });
        if !self.table.partition_columns.is_empty() {
            part.partition_values = vec![ScalarValue::Date32(file.partition)];
        }
        // The statistics of partition columns are added from the values above.
        let columns = self.columns.scan_schema.file_schema().fields().len();
        part.with_statistics(Arc::new(statistics(file, columns, named)))
    }
}

/// Whether a filter keeps events of rare types alone. They stand on pages of their own, so that the other columns
/// of nearly all pages need not be decoded.
fn asks_for_rare_types(filter: &Expr) -> bool {
    let is_type =
        |expr: &Expr| matches!(expr, Expr::Column(column) if column.name() == "event_type");
    let is_rare = |expr: &Expr| {
        let Expr::Literal(value, _) = expr else { return false };
        let rare = EventType::ALL.iter().filter(|kind| kind.frequency() == Frequency::Rare);
        value
            .try_as_str()
            .flatten()
            .is_some_and(|name| rare.map(|kind| kind.as_str()).any(|rare| rare == name))
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            is_type(left) && is_rare(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            asks_for_rare_types(left) && asks_for_rare_types(right)
        }
        Expr::InList(list) => !list.negated && is_type(&list.expr) && list.list.iter().all(is_rare),
        _ => false,
    }
}

/// The footer of a file, if it was read before.
fn footer_at_hand(file: &ObjectMeta, footers: &FileMetadataCache) -> Option<Arc<ParquetMetaData>> {
    let entry = footers.get(&file.location).filter(|entry| entry.is_valid_for(file))?;
    let footer = entry.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
    Some(Arc::clone(footer.parquet_metadata()))
}

/// The same schema with texts as statements see them.
fn with_texts(schema: &Schema, texts: Texts) -> SchemaRef {
    let decoded = decoded_schema();
    let is_coded = |field: &Field| {
        let decoded = decoded.field_with_name(field.name());
        texts == Texts::Coded
            && decoded.is_ok_and(|field| matches!(field.data_type(), DataType::Dictionary(..)))
    };
    let code = |kind| DataType::Dictionary(Box::new(DataType::Int32), Box::new(kind));
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 if is_coded(field) => {
                Arc::new(field.as_ref().clone().with_data_type(code(DataType::Utf8)))
            }
            DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
            DataType::Binary => {
                Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView))
            }
            _ => Arc::clone(field),
        })
        .collect();
    Arc::new(Schema::new(fields))
}
