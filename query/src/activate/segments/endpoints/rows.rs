//! Endpoints as rows of `endpoint_imports`.

use std::sync::Arc;

use arrow_array::builder::{
    ListBuilder, MapBuilder, MapFieldNames, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use hearback_schemas::ENDPOINT_IMPORTS;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::read::Endpoint;
use crate::activate::segments::change::identity_of;
use crate::activate::segments::error::SegmentError;

/// Rows that are not appended yet.
#[derive(Debug)]
pub(super) struct Rows {
    count: usize,
    change_id: StringBuilder,
    changed_time: TimestampMicrosecondBuilder,
    /// Columns of text, in the order of [`TEXTS`].
    texts: Vec<StringBuilder>,
    attributes: Lists,
    user_attributes: Lists,
}

type Lists = MapBuilder<StringBuilder, ListBuilder<StringBuilder>>;

/// Columns of text.
const TEXTS: [&str; 11] = [
    "endpoint_id",
    "application_id",
    "import_name",
    "channel",
    "address",
    "user_id",
    "opt_out",
    "endpoint_status",
    "metrics",
    "demographic",
    "location",
];

/// Fields of an endpoint that have columns; all others go to `extra`.
const FIELDS: [&str; 12] = [
    "Id",
    "ApplicationId",
    "ChannelType",
    "Address",
    "OptOut",
    "EndpointStatus",
    "EffectiveDate",
    "Attributes",
    "User",
    "Metrics",
    "Demographic",
    "Location",
];

impl Default for Rows {
    fn default() -> Self {
        Self {
            count: 0,
            change_id: StringBuilder::new(),
            changed_time: TimestampMicrosecondBuilder::new(),
            // The last one is `extra`.
            texts: (0..=TEXTS.len()).map(|_| StringBuilder::new()).collect(),
            attributes: lists(),
            user_attributes: lists(),
        }
    }
}

fn lists() -> Lists {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let element = Arc::new(Field::new("element", DataType::Utf8, true));
    let values = ListBuilder::new(StringBuilder::new()).with_field(element);
    MapBuilder::new(Some(names), StringBuilder::new(), values)
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, endpoint: &Endpoint, import_name: Option<&str>) {
        let fields = &endpoint.fields;
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let user = fields.get("User").and_then(Value::as_object);
        let json = |name: &str| fields.get(name).map(Value::to_string);
        let identity =
            identity_of(&[&Value::Object(fields.clone()).to_string(), import_name.unwrap_or("")]);
        let since = text("EffectiveDate").or(text("CreationDate"));
        let since = since.and_then(|since| since.parse::<Timestamp>().ok());
        self.count += 1;
        self.change_id.append_value(identity);
        self.changed_time.append_value(since.unwrap_or(Timestamp::UNIX_EPOCH).as_microsecond());
        let values = [
            text("Id").map(str::to_owned),
            text("ApplicationId").map(str::to_owned),
            import_name.map(str::to_owned),
            text("ChannelType").map(str::to_owned),
            text("Address").map(str::to_owned),
            user.and_then(|user| user.get("UserId")).and_then(Value::as_str).map(str::to_owned),
            text("OptOut").map(str::to_owned),
            text("EndpointStatus").map(str::to_owned),
            json("Metrics"),
            json("Demographic"),
            json("Location"),
            extra(fields),
        ];
        for (column, value) in self.texts.iter_mut().zip(values) {
            column.append_option(value);
        }
        append(&mut self.attributes, fields.get("Attributes"));
        let of_user = user.and_then(|user| user.get("UserAttributes"));
        append(&mut self.user_attributes, of_user);
    }

    pub(super) fn finish(mut self) -> Result<RecordBatch, SegmentError> {
        let schema = ENDPOINT_IMPORTS.file_schema();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let name = field.name().as_str();
            let place = TEXTS.iter().position(|text| *text == name);
            columns.push(match name {
                "change_id" => Arc::new(self.change_id.finish()),
                "changed_time" => Arc::new(self.changed_time.finish().with_timezone("UTC")),
                "attributes" => Arc::new(self.attributes.finish()),
                "user_attributes" => Arc::new(self.user_attributes.finish()),
                _ => Arc::new(self.texts[place.unwrap_or(TEXTS.len())].finish()),
            });
        }
        RecordBatch::try_new(schema, columns)
            .map_err(|error| SegmentError::damaged("write endpoints", error))
    }
}

/// What has no column, as JSON; None if there is nothing.
fn extra(fields: &Map<String, Value>) -> Option<String> {
    let mut rest: Map<String, Value> = Map::new();
    for (name, value) in fields {
        if !FIELDS.contains(&name.as_str()) {
            rest.insert(name.clone(), value.clone());
        }
    }
    (!rest.is_empty()).then(|| Value::Object(rest).to_string())
}

/// Appends a map from names to lists of values; a value that is no list is a list of one.
fn append(column: &mut Lists, value: Option<&Value>) {
    let Some(Value::Object(object)) = value else {
        // Rows without attributes have none of them: NULL.
        let appended = column.append(false);
        debug_assert!(
            appended.is_ok(),
            "a NULL has no keys and values that could differ in number"
        );
        return;
    };
    for (name, values) in object {
        column.keys().append_value(name);
        let single = std::slice::from_ref(values);
        for value in values.as_array().map_or(single, Vec::as_slice) {
            match value {
                Value::Null => column.values().values().append_null(),
                Value::String(text) => column.values().values().append_value(text),
                other => column.values().values().append_value(other.to_string()),
            }
        }
        column.values().append(true);
    }
    let appended = column.append(true);
    debug_assert!(appended.is_ok(), "a value was appended for each key");
}
