//! SQL functions beyond DataFusion's own: JSON access to `extra`, and some of ours.
//!
//! `from_utf8(raw)` reads bytes as text, bytes that are none as U+FFFD, as in Athena;
//! `has_feedback_loop(mailbox_provider)` tells whether complaints from there can arrive at all;
//! `message_tags(tags, extra, campaign)` gives tags and Pinpoint's attributes as one map of texts, the
//! shape that Pinpoint-era SQL expects.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, MapArray, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Fields};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use hearback_transform::provider::has_feedback_loop;
use serde_json::Value;

use super::duration::DatePart;

/// Adds the functions to a session.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    datafusion_functions_json::register_all(state)?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(HasFeedbackLoop::new())))?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(MessageTags::new())))?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(FromUtf8::new())))?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(DatePart::new())))?;
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HasFeedbackLoop {
    signature: Signature,
}

impl HasFeedbackLoop {
    fn new() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for HasFeedbackLoop {
    fn name(&self) -> &'static str {
        "has_feedback_loop"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let providers = one_array(&args)?;
        let providers = cast(&providers, &DataType::Utf8)?;
        let answers = providers.as_string::<i32>().iter().map(|name| name.map(has_feedback_loop));
        Ok(ColumnarValue::Array(Arc::new(answers.collect::<BooleanArray>())))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FromUtf8 {
    signature: Signature,
}

impl FromUtf8 {
    fn new() -> Self {
        let bytes = vec![DataType::Binary, DataType::LargeBinary, DataType::BinaryView];
        Self { signature: Signature::uniform(1, bytes, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FromUtf8 {
    fn name(&self) -> &'static str {
        "from_utf8"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = cast(&one_array(&args)?, &DataType::Binary)?;
        let texts = bytes.as_binary::<i32>().iter().map(|row| row.map(String::from_utf8_lossy));
        Ok(ColumnarValue::Array(Arc::new(texts.collect::<StringArray>())))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MessageTags {
    signature: Signature,
}

impl MessageTags {
    fn new() -> Self {
        Self { signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for MessageTags {
    fn name(&self) -> &'static str {
        "message_tags"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [DataType::Map(..), _, _] => Ok(text_map()),
            _ => exec_err!("message_tags takes tags, extra and campaign"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [tags, extra, campaign] = args.args.as_slice() else {
            return exec_err!("message_tags takes tags, extra and campaign");
        };
        let tags = tags.to_array(args.number_rows)?;
        let extra = cast(&extra.to_array(args.number_rows)?, &DataType::Utf8)?;
        let campaign = cast(&campaign.to_array(args.number_rows)?, &DataType::Utf8)?;
        let Some(tags) = tags.as_any().downcast_ref::<MapArray>() else {
            return exec_err!("message_tags takes tags, extra and campaign");
        };
        let (extra, campaign) = (extra.as_string::<i32>(), campaign.as_string::<i32>());
        let names = MapFieldNames {
            entry: "key_value".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        for row in 0..args.number_rows {
            let mut merged = BTreeMap::new();
            first_values(tags, row, &mut merged);
            if extra.is_valid(row) {
                let campaign = campaign.is_valid(row).then(|| campaign.value(row));
                pinpoint_attributes(extra.value(row), campaign, &mut merged);
            }
            let known = tags.is_valid(row) || !merged.is_empty();
            for (key, value) in merged {
                builder.keys().append_value(key);
                builder.values().append_option(value);
            }
            builder.append(known)?;
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish())))
    }
}

/// The first value of each tag of a row.
fn first_values(tags: &MapArray, row: usize, into: &mut BTreeMap<String, Option<String>>) {
    if tags.is_null(row) {
        return;
    }
    let entries = tags.value(row);
    let keys = entries.column(0).as_string_opt::<i32>();
    let lists = entries.column(1).as_list_opt::<i32>();
    let (Some(keys), Some(lists)) = (keys, lists) else { return };
    for entry in 0..entries.len() {
        let list = lists.value(entry);
        let first = list.as_string_opt::<i32>().filter(|list| !list.is_empty());
        let first = first.filter(|list| lists.is_valid(entry) && list.is_valid(0));
        into.insert(keys.value(entry).to_owned(), first.map(|list| list.value(0).to_owned()));
    }
}

/// What Pinpoint calls attributes and custom client context. The campaign or journey has a column of
/// its own in the lake, and is put back under the name it came with.
fn pinpoint_attributes(
    extra: &str,
    campaign: Option<&str>,
    into: &mut BTreeMap<String, Option<String>>,
) {
    // SES events have neither, and their JSON need not be read.
    if !extra.contains("\"attributes\"") && !extra.contains("\"client_context\"") {
        return;
    }
    let Ok(extra) = serde_json::from_str::<Value>(extra) else { return };
    let objects = [extra.pointer("/client_context/custom"), extra.get("attributes")];
    for object in objects.into_iter().flatten().filter_map(Value::as_object) {
        for (key, value) in object {
            let text = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            into.insert(key.clone(), text);
        }
    }
    if let Some(campaign) = campaign {
        let journey =
            into.contains_key("journey_activity_id") || into.contains_key("journey_run_id");
        let key = if journey { "journey_id" } else { "campaign_id" };
        into.entry(key.to_owned()).or_insert_with(|| Some(campaign.to_owned()));
    }
}

fn text_map() -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
}

fn one_array(args: &ScalarFunctionArgs) -> Result<ArrayRef> {
    match args.args.as_slice() {
        [value] => value.to_array(args.number_rows),
        _ => exec_err!("takes one argument"),
    }
}
