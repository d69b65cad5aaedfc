//! What SQL sees: the tables of the lake and the views, each made when a statement first names it.
//!
//! Invariant: within one session a table is read at one version, however often it is named.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, OnceLock, Weak};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use hearback_ingest::lake::{Lake, LakeError, TableSnapshot};
use hearback_schemas::{
    ENDPOINT_IMPORTS, EVENTS, REJECTS, SEGMENT_LEDGER, SUPPRESSION_LEDGER, SUPPRESSION_LIST, Table,
};
use tokio::sync::Mutex;

use super::error::{EngineError, external};
use super::streams;
use super::table::{LakeTable, TableColumns, Texts};
use super::views::{DIALECT, VIEWS, view};

/// Tables that statements can name.
pub(super) const BASE_TABLES: [&Table; 6] =
    [&EVENTS, &REJECTS, &SUPPRESSION_LEDGER, &SUPPRESSION_LIST, &SEGMENT_LEDGER, &ENDPOINT_IMPORTS];

/// What the view `lag` is made from. It is not listed: the view says the same and more.
const STREAM_SHARDS: &str = "stream_shards";

/// Where data files are found, within a session.
pub(super) const STORE_URL: &str = "hearback://lake";

/// The one catalog of a session, with the one schema in it.
#[derive(Debug)]
pub(super) struct LakeCatalog {
    pub(super) schema: Arc<LakeSchema>,
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec!["lake".to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == "lake").then(|| Arc::clone(&self.schema) as Arc<dyn SchemaProvider>)
    }
}

/// The newest snapshot of each table that was asked for, kept between the statements of an engine:
/// bringing one up to date costs a listing, loading it anew costs the whole log.
pub(super) struct Snapshots {
    lake: Lake,
    known: Mutex<HashMap<&'static str, TableSnapshot>>,
    columns: StdMutex<HashMap<(&'static str, Texts), Arc<TableColumns>>>,
}

impl Snapshots {
    pub(super) fn new(lake: Lake) -> Self {
        Self { lake, known: Mutex::new(HashMap::new()), columns: StdMutex::default() }
    }

    /// The table's columns as statements see them.
    fn columns(&self, table: &'static Table, texts: Texts) -> Arc<TableColumns> {
        let make = || Arc::new(TableColumns::new(table, texts));
        match self.columns.lock() {
            Ok(mut known) => Arc::clone(known.entry((table.name, texts)).or_insert_with(make)),
            // Whoever holds a lock poisoned it by a panic; columns can always be worked out anew.
            Err(_) => make(),
        }
    }

    /// The table as it stands now.
    pub(super) async fn newest(&self, table: &'static Table) -> Result<TableSnapshot, LakeError> {
        let known = self.known.lock().await.get(table.name).cloned();
        let newest = match known {
            Some(known) => self.lake.refresh(&known).await?,
            None => self.lake.snapshot(table).await?,
        };
        self.known.lock().await.insert(table.name, newest.clone());
        Ok(newest)
    }
}

/// The tables and views of one session.
pub(super) struct LakeSchema {
    snapshots: Arc<Snapshots>,
    texts: Texts,
    store: ObjectStoreUrl,
    /// The session that plans the views; set right after the session is made around this schema.
    planning: OnceLock<Weak<SessionState>>,
    made: Mutex<HashMap<String, Arc<dyn TableProvider>>>,
    /// The versions of the tables that were named.
    versions: StdMutex<HashMap<&'static str, u64>>,
}

impl fmt::Debug for LakeSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeSchema").finish_non_exhaustive()
    }
}

impl LakeSchema {
    pub(super) fn new(snapshots: Arc<Snapshots>, texts: Texts) -> DataFusionResult<Self> {
        Ok(Self {
            snapshots,
            texts,
            store: ObjectStoreUrl::parse(STORE_URL)?,
            planning: OnceLock::new(),
            made: Mutex::new(HashMap::new()),
            versions: StdMutex::default(),
        })
    }

    pub(super) fn plan_views_with(&self, state: Weak<SessionState>) {
        // Set once, by the only caller.
        let _ = self.planning.set(state);
    }

    /// The version at which a table is read; None if no statement named it, or it is not there yet.
    pub(super) fn version_of(&self, table: &str) -> Option<u64> {
        self.versions.lock().ok()?.get(table).copied()
    }

    async fn base_table(&self, table: &'static Table) -> DataFusionResult<Arc<dyn TableProvider>> {
        match self.snapshots.newest(table).await {
            Ok(snapshot) => {
                if let (Some(version), Ok(mut versions)) = (snapshot.version, self.versions.lock())
                {
                    versions.insert(table.name, version);
                }
                let columns = self.snapshots.columns(table, self.texts);
                let store = self.store.clone();
                Ok(Arc::new(LakeTable::new(table, columns, store, snapshot.files)))
            }
            Err(source) => {
                external(EngineError::Lake { table: table.name.to_owned(), source: source.into() })
            }
        }
    }

    async fn stream_shards(&self) -> DataFusionResult<Arc<dyn TableProvider>> {
        let streams = match self.snapshots.lake.streams().await {
            Ok(streams) => streams,
            Err(source) => {
                let table = "lag".to_owned();
                return external(EngineError::Lake { table, source: source.into() });
            }
        };
        let batch = streams::shards(&streams)?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
    }

    async fn view(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(view) = view(name) else {
            return Ok(None);
        };
        let Some(state) = self.planning.get().and_then(Weak::upgrade) else {
            return Ok(None);
        };
        let statement = state.sql_to_statement(view.sql, &DIALECT)?;
        let plan = state.statement_to_plan(statement).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.to_owned())))))
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = BASE_TABLES.iter().map(|table| table.name.to_owned());
        tables.chain(VIEWS.iter().map(|view| view.name.to_owned())).collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        if let Some(made) = self.made.lock().await.get(name) {
            return Ok(Some(Arc::clone(made)));
        }
        let provider = match BASE_TABLES.iter().find(|table| table.name == name) {
            Some(table) => {
                // Held while the snapshot is read, so that two namings cannot get two versions.
                let mut made = self.made.lock().await;
                if let Some(made) = made.get(name) {
                    return Ok(Some(Arc::clone(made)));
                }
                let provider = self.base_table(table).await?;
                made.insert(name.to_owned(), Arc::clone(&provider));
                return Ok(Some(provider));
            }
            None if name == STREAM_SHARDS => Some(self.stream_shards().await?),
            None => self.view(name).await?,
        };
        if let Some(provider) = &provider {
            self.made.lock().await.insert(name.to_owned(), Arc::clone(provider));
        }
        Ok(provider)
    }

    fn table_exist(&self, name: &str) -> bool {
        BASE_TABLES.iter().any(|table| table.name == name) || view(name).is_some()
    }
}
