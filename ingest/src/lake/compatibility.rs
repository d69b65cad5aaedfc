//! What other engines may make of a table: responsible for saying of a table, in one sentence that names
//! the remedy, that it cannot be read or written any more.
//!
//! Invariant: no row is committed to a table that promises something that this program does not keep
//! (Delta protocol, "Requirements for Writers"), and no table is read that needs more than it knows.

use deltalake_core::kernel::EagerSnapshot;
use hearback_schemas::Table;
use serde::Deserialize;

use super::log::{READER_VERSION, WRITER_VERSION};

/// What a table's log says of how it has to be used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    schema_string: String,
    partition_columns: Vec<String>,
    #[serde(default)]
    configuration: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Schema {
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: serde_json::Value,
    nullable: bool,
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// How a table can be used as it stands; each reason not to is a sentence for the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// As it was made.
    Full,
    /// It can be read, but rows must not be added.
    ReadOnly(String),
    /// It cannot even be read.
    None(String),
}

/// How a table can be used as of a snapshot.
pub(crate) fn usable(table: &Table, state: &EagerSnapshot) -> Use {
    let protocol = state.protocol();
    let (reader, writer) = (protocol.min_reader_version(), protocol.min_writer_version());
    let is_upgraded = format!(
        "another engine upgraded the table to Delta reader version {reader} and writer version {writer}, hearback uses {READER_VERSION} and {WRITER_VERSION}: take away there what needed it (DROP FEATURE, DROP CONSTRAINT; then the protocol has to be lowered), or restore the table to the version before"
    );
    if reader > READER_VERSION {
        return Use::None(is_upgraded);
    }
    let definition = serde_json::to_value(state.metadata())
        .and_then(serde_json::from_value::<Definition>)
        .and_then(|definition| Ok((serde_json::from_str(&definition.schema_string)?, definition)));
    let (schema, definition) = match definition {
        Ok(definition) => definition,
        Err(error) => return Use::None(format!("its definition is not understood: {error}")),
    };
    match of_definition(table, &schema, &definition) {
        Use::Full if writer > WRITER_VERSION => Use::ReadOnly(is_upgraded),
        found => found,
    }
}

fn of_definition(table: &Table, schema: &Schema, definition: &Definition) -> Use {
    for column in table.columns {
        let Some(field) = schema.fields.iter().find(|field| field.name == column.name) else {
            return Use::None(format!(
                "the table lacks the column {}: it was created by another version of hearback, or changed by another engine; restore it to a version that has it",
                column.name
            ));
        };
        if field.kind != column.kind.delta() {
            return Use::None(format!(
                "another engine changed the type of the column {}: restore the table to the version before",
                column.name
            ));
        }
    }
    if definition.partition_columns != table.partition_columns {
        return Use::None(
            "another engine partitioned the table anew: restore it to the version before"
                .to_owned(),
        );
    }
    for field in &schema.fields {
        let column = table.column(&field.name);
        if !field.nullable && column.is_none_or(|column| !column.required) {
            return Use::ReadOnly(format!(
                "another engine demands a value in the column {}, which hearback cannot promise: let it be NULL",
                field.name
            ));
        }
        if field.metadata.contains_key("delta.invariants") {
            return Use::ReadOnly(format!(
                "another engine put an invariant on the column {}, which hearback does not check: take it away",
                field.name
            ));
        }
    }
    if definition.configuration.contains_key("delta.setTransactionRetentionDuration") {
        return Use::ReadOnly(
            "with the property delta.setTransactionRetentionDuration the table forgets how far it was read: unset it"
                .to_owned(),
        );
    }
    Use::Full
}

#[cfg(test)]
mod tests {
    use hearback_schemas::EVENTS;
    use serde_json::{Value, json};

    use super::*;

    fn found(change: impl FnOnce(&mut Value, &mut Value)) -> Use {
        let mut schema = EVENTS.delta_schema();
        let mut definition = json!({
            "schemaString": "",
            "partitionColumns": EVENTS.partition_columns,
            "configuration": {"delta.checkpointInterval": "100"},
        });
        change(&mut schema, &mut definition);
        let schema = serde_json::from_value(schema).expect("a schema");
        let definition = serde_json::from_value(definition).expect("a definition");
        of_definition(&EVENTS, &schema, &definition)
    }

    fn is_read_only(change: impl FnOnce(&mut Value, &mut Value), word: &str) {
        let Use::ReadOnly(reason) = found(change) else { panic!("it is not read-only: {word}") };
        assert!(reason.contains(word), "{reason}");
    }

    fn is_unusable(change: impl FnOnce(&mut Value, &mut Value), word: &str) {
        let Use::None(reason) = found(change) else { panic!("it is usable: {word}") };
        assert!(reason.contains(word), "{reason}");
    }

    fn add(schema: &mut Value, field: Value) {
        schema["fields"].as_array_mut().expect("fields").push(field);
    }

    #[test]
    fn columns_that_others_add_are_left_null_if_they_may() {
        let mine = |nullable: bool| json!({"name": "mine", "type": "string", "nullable": nullable, "metadata": {}});
        assert_eq!(found(|schema, _| add(schema, mine(true))), Use::Full);
        is_read_only(|schema, _| add(schema, mine(false)), "mine");
    }

    #[test]
    fn what_hearback_cannot_promise_keeps_it_from_writing() {
        is_read_only(
            |schema, _| schema["fields"][0]["metadata"] = json!({"delta.invariants": "{}"}),
            "invariant",
        );
        is_read_only(
            |_, definition| {
                definition["configuration"]["delta.setTransactionRetentionDuration"] =
                    json!("interval 1 days");
            },
            "unset it",
        );
    }

    #[test]
    fn columns_that_are_gone_or_of_another_type_keep_it_from_reading() {
        is_unusable(|schema, _| schema["fields"][0]["name"] = json!("id"), "event_id");
        is_unusable(|schema, _| schema["fields"][0]["type"] = json!("binary"), "event_id");
        is_unusable(|_, definition| definition["partitionColumns"] = json!([]), "partitioned");
    }
}
