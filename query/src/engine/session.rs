//! Sessions: one lake, many statements, each over the newest snapshot.
//!
//! Invariant: only questions run. Everything that would change data, settings or files is refused
//! before it is planned or executed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{
    SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext,
};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;
use datafusion::physical_plan::{ExecutionPlan, execute_stream, execute_stream_partitioned};
use datafusion::prelude::{SQLOptions, SessionConfig};
use datafusion::sql::parser::{DFParserBuilder, Statement as ParsedStatement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use futures::StreamExt;
use hearback_ingest::lake::{Lake, LakeError, TableSnapshot};
use hearback_schemas::Table;
use url::Url;

use super::catalog::{BASE_TABLES, LakeCatalog, LakeSchema, STORE_URL, Snapshots};
use super::chance::ChanceStays;
use super::dialect::{self, LakeDialect};
use super::error::EngineError;
use super::functions;
use super::table::Texts;
use super::types;
use super::views::{self, VIEWS};

/// Rows that operators hand on at once. DataFusion's own 8,192 is for rows that are wider than most answers.
const BATCH_ROWS: usize = 16_384;

/// What one statement may use.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Threads that run it.
    pub threads: usize,
    /// Bytes in memory before it spills to disk.
    pub memory_limit: usize,
}

/// How a statement's rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As suits most.
    Plain,
    /// Rows are chosen before their other columns are decoded.
    Selective,
    /// Texts that repeat stay codes.
    Coded,
}

/// A lake that can be asked.
pub struct Engine {
    snapshots: Arc<Snapshots>,
    /// The state that each statement's session begins with.
    template: SessionState,
    settings: EngineSettings,
}

/// A planned statement.
pub struct Statement {
    state: Arc<SessionState>,
    lake: Arc<LakeSchema>,
    plan: LogicalPlan,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the lake at a path or URI.
    ///
    /// # Errors
    /// [`EngineError::MissingLake`] if nothing is there, [`EngineError::Lake`] if it cannot be read.
    pub async fn open(uri: &str, settings: EngineSettings) -> Result<Self, EngineError> {
        let lake = match Lake::open(uri).await {
            Ok(lake) => lake,
            Err(LakeError::Missing { .. }) => {
                return Err(EngineError::MissingLake { lake: uri.to_owned() });
            }
            Err(source) => {
                return Err(EngineError::Lake {
                    table: "events".to_owned(),
                    source: source.into(),
                });
            }
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(settings.memory_limit)))
            .with_disk_manager_builder(DiskManagerBuilder::default())
            .build_arc()
            .map_err(|error| EngineError::running(&error))?;
        if let Ok(url) = Url::parse(STORE_URL) {
            runtime.register_object_store(&url, Arc::clone(&lake.place().store));
        }
        let template = template(runtime, settings)?;
        Ok(Self { snapshots: Arc::new(Snapshots::new(lake)), template, settings })
    }

    /// The newest version of a table; None if it has not been created.
    ///
    /// # Errors
    /// [`EngineError::Lake`] if it cannot be read.
    pub async fn version(&self, table: &'static Table) -> Result<Option<u64>, EngineError> {
        Ok(self.newest(table).await?.version)
    }

    async fn newest(&self, table: &'static Table) -> Result<TableSnapshot, EngineError> {
        let snapshot = self.snapshots.newest(table).await;
        let failed = |source: LakeError| EngineError::Lake {
            table: table.name.to_owned(),
            source: source.into(),
        };
        snapshot.map_err(failed)
    }

    /// The identity that a table was created with; None if it has not been created.
    ///
    /// # Errors
    /// [`EngineError::Lake`] if it cannot be read.
    pub async fn table_id(&self, table: &'static Table) -> Result<Option<String>, EngineError> {
        let snapshot = self.newest(table).await?;
        Ok(snapshot.id.map(|id| id.to_string()))
    }

    /// Plans one statement over the newest snapshot.
    ///
    /// # Errors
    /// [`EngineError::Statement`] if it cannot be understood, [`EngineError::Refused`] if it is not
    /// one question, [`EngineError::Lake`] if the snapshot cannot be read.
    pub async fn plan(&self, sql: &str) -> Result<Statement, EngineError> {
        self.plan_with(sql, Reading::Plain).await
    }

    /// As [`plan`](Self::plan), for a statement of which the caller knows that its filters keep few of the
    /// rows: those are chosen before any other column of them is decoded.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn plan_selective(&self, sql: &str) -> Result<Statement, EngineError> {
        self.plan_with(sql, Reading::Selective).await
    }

    /// As [`plan`](Self::plan), for a statement that hands all rows on as they are: columns of texts that
    /// repeat come as codes of dictionaries, which is how the files have them.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn plan_coded(&self, sql: &str) -> Result<Statement, EngineError> {
        self.plan_with(sql, Reading::Coded).await
    }

    async fn plan_with(&self, sql: &str, reading: Reading) -> Result<Statement, EngineError> {
        let parsed = one_question(sql)?;
        let (state, lake) = self.state(reading)?;
        let plan = state
            .statement_to_plan(parsed)
            .await
            .map_err(|error| EngineError::planning(&error, &table_names()))?;
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        if options.verify_plan(&plan).is_err() {
            return Err(not_a_question());
        }
        let plan = match plan {
            LogicalPlan::DescribeTable(question) => {
                types::described(&question).map_err(|error| EngineError::running(&error))?
            }
            plan => plan,
        };
        Ok(Statement { state, lake, plan })
    }

    /// A session of its own for each statement, so that none sees what another has set or read. It is copied
    /// once: with hundreds of functions in it, a copy takes as long as a rule of the planner.
    fn state(&self, reading: Reading) -> Result<(Arc<SessionState>, Arc<LakeSchema>), EngineError> {
        let texts = if reading == Reading::Coded { Texts::Coded } else { Texts::Views };
        let lake = LakeSchema::new(Arc::clone(&self.snapshots), texts)
            .map_err(|error| EngineError::running(&error))?;
        let lake = Arc::new(lake);
        let mut state = self.template.clone();
        state.config_mut().options_mut().execution.parquet.pushdown_filters =
            reading == Reading::Selective;
        // A clone shares the catalogs of what it was cloned from.
        let catalogs = MemoryCatalogProviderList::new();
        let catalog = LakeCatalog { schema: Arc::clone(&lake) };
        catalogs.register_catalog("hearback".to_owned(), Arc::new(catalog));
        state.register_catalog_list(Arc::new(catalogs));
        // What `now()` is.
        state.mark_start_execution();
        let state = Arc::new(state);
        lake.plan_views_with(Arc::downgrade(&state));
        Ok((state, lake))
    }
}

/// What all sessions have in common: settings, functions, rules. Putting it together takes longer than
/// planning a small statement.
fn template(
    runtime: Arc<RuntimeEnv>,
    settings: EngineSettings,
) -> Result<SessionState, EngineError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.threads)
        .with_batch_size(BATCH_ROWS)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("hearback", "lake")
        .with_information_schema(true);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.sql_parser.dialect = views::DIALECT;
    // Where a statement does not ask for it, each table says for itself (`LakeTable::chooses_first`).
    options.execution.parquet.pushdown_filters = false;
    options.execution.time_zone = Some("+00:00".to_owned());
    let mut rules = Optimizer::new().rules;
    rules.insert(0, Arc::new(ChanceStays));
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_optimizer_rules(rules)
        .build();
    functions::register(&mut state).map_err(|error| EngineError::running(&error))?;
    Ok(state)
}

impl Statement {
    /// The columns of the result.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    /// The version of a table that it reads; None if it does not, or the table is not there yet.
    #[must_use]
    pub fn version_of(&self, table: &str) -> Option<u64> {
        self.lake.version_of(table)
    }

    /// Runs it; rows come as they are found.
    ///
    /// # Errors
    /// [`EngineError::Run`] if it cannot be started.
    pub async fn stream(&self) -> Result<SendableRecordBatchStream, EngineError> {
        let plan = self.physical().await?;
        execute_stream(plan, self.task()).map_err(|error| EngineError::running(&error))
    }

    /// Runs it on as many threads as the engine may use; each stream has a part of the rows, in no order, and
    /// is best read by a task of its own.
    ///
    /// # Errors
    /// [`EngineError::Run`] if it cannot be started.
    pub async fn streams(&self) -> Result<Vec<SendableRecordBatchStream>, EngineError> {
        let plan = self.physical().await?;
        execute_stream_partitioned(plan, self.task()).map_err(|error| EngineError::running(&error))
    }

    async fn physical(&self) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
        let plan = self.state.create_physical_plan(&self.plan).await;
        plan.map_err(|error| EngineError::running(&error))
    }

    /// What operators may ask for while they run. No functions: the plan holds those that it calls.
    fn task(&self) -> Arc<TaskContext> {
        let config = self.state.config().clone();
        let runtime = Arc::clone(self.state.runtime_env());
        let id = self.state.session_id().to_owned();
        Arc::new(TaskContext::new(
            None,
            id,
            config,
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            runtime,
        ))
    }

    /// Runs it and keeps all rows in memory: for results that are small by their nature.
    ///
    /// # Errors
    /// [`EngineError::Run`] if it fails.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>, EngineError> {
        let mut stream = self.stream().await?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            batches.push(batch.map_err(|error| EngineError::running(&error))?);
        }
        Ok(batches)
    }
}

/// Every name that a statement can read from.
pub(super) fn table_names() -> Vec<String> {
    let tables = BASE_TABLES.iter().map(|table| table.name.to_owned());
    tables.chain(VIEWS.iter().map(|view| view.name.to_owned())).collect()
}

/// Parses exactly one statement that only reads.
fn one_question(sql: &str) -> Result<ParsedStatement, EngineError> {
    let grammar = LakeDialect::new();
    let statements = DFParserBuilder::new(sql)
        .with_dialect(&grammar)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| EngineError::planning(&error, &[]))?;
    let count = statements.len();
    let mut statements = statements.into_iter();
    let (Some(mut statement), None) = (statements.next(), statements.next()) else {
        let message = if count == 0 {
            "there is no statement in the text".to_owned()
        } else {
            format!("one statement at a time: the text holds {count}")
        };
        return Err(EngineError::Refused { message, hint: None });
    };
    if let ParsedStatement::Statement(statement) = &mut statement {
        dialect::complete(statement)?;
    }
    let reads = match &statement {
        ParsedStatement::Explain(_) => true,
        ParsedStatement::Statement(statement) => matches!(
            statement.as_ref(),
            SqlStatement::Query(_)
                | SqlStatement::Explain { .. }
                | SqlStatement::ExplainTable { .. }
                | SqlStatement::ShowTables { .. }
                | SqlStatement::ShowColumns { .. }
        ),
        _ => false,
    };
    if reads { Ok(statement) } else { Err(not_a_question()) }
}

fn not_a_question() -> EngineError {
    EngineError::Refused {
        message: "only statements that read are run here".to_owned(),
        hint: Some("SELECT, WITH, EXPLAIN, DESCRIBE and SHOW TABLES read".to_owned()),
    }
}
