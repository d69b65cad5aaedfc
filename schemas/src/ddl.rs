//! The statements that make other engines see a table of the lake.

use std::fmt::Write;

use crate::Table;

impl Table {
    /// `CREATE EXTERNAL TABLE` for Athena (engine version 3 reads Delta tables through their log;
    /// AWS: "Query Linux Foundation Delta Lake tables"). Athena takes no column list for them: the
    /// columns come from the log, so they are given as a comment for the reader.
    #[must_use]
    pub fn ddl_athena(&self, lake: &str) -> String {
        let mut ddl = self.commented_columns();
        let location = location(lake, self.name);
        let _ = write!(
            ddl,
            "CREATE EXTERNAL TABLE {name}\nLOCATION '{location}'\nTBLPROPERTIES ('table_type' = 'DELTA');\n",
            name = self.name,
        );
        ddl
    }

    /// `CREATE TABLE … USING DELTA` for Spark SQL; as with Athena the columns come from the log.
    #[must_use]
    pub fn ddl_spark(&self, lake: &str) -> String {
        let mut ddl = self.commented_columns();
        let location = location(lake, self.name);
        let _ = write!(
            ddl,
            "CREATE TABLE IF NOT EXISTS {name}\nUSING DELTA\nLOCATION '{location}';\n",
            name = self.name,
        );
        ddl
    }

    fn commented_columns(&self) -> String {
        let mut text = format!("-- {}: {}\n", self.name, self.meaning);
        for column in self.columns {
            let _ =
                writeln!(text, "--   {} {}: {}", column.name, column.kind.sql(), column.meaning);
        }
        text
    }
}

fn location(lake: &str, table: &str) -> String {
    let lake = lake.trim_end_matches('/');
    format!("{lake}/{table}/").replace('\'', "''")
}
