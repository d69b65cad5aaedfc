//! SQL functions beyond DataFusion's own: JSON access to `extra`, and two of ours.
//!
//! `has_feedback_loop(mailbox_provider)` tells whether complaints from there can arrive at all;
//! `first_values(map)` takes the first value of every key of a map of lists, the shape that
//! Pinpoint-era SQL expects of message tags.

use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, MapArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Fields};
use datafusion::common::{DataFusionError, exec_err};
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use hearback_transform::provider::has_feedback_loop;

/// Adds the functions to a session.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    datafusion_functions_json::register_all(state)?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(HasFeedbackLoop::new())))?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(FirstValues::new())))?;
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
struct FirstValues {
    signature: Signature,
}

impl FirstValues {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FirstValues {
    fn name(&self) -> &'static str {
        "first_values"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [DataType::Map(..)] => Ok(text_map()),
            _ => exec_err!("first_values takes a map of lists"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let maps = one_array(&args)?;
        let Some(maps) = maps.as_any().downcast_ref::<MapArray>() else {
            return exec_err!("first_values takes a map of lists");
        };
        let names = MapFieldNames {
            entry: "key_value".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        let keys = maps.keys().as_string_opt::<i32>();
        let values = maps.values().as_list_opt::<i32>();
        let (Some(keys), Some(values)) = (keys, values) else {
            return exec_err!("first_values takes a map of lists of text");
        };
        for row in 0..maps.len() {
            let offsets = maps.value_offsets();
            for entry in offsets[row]..offsets[row + 1] {
                let entry = usize::try_from(entry).map_err(|_| negative_offset())?;
                builder.keys().append_value(keys.value(entry));
                let list = values.value(entry);
                let first = list.as_string_opt::<i32>().filter(|list| !list.is_empty());
                match first {
                    Some(list) if values.is_valid(entry) && list.is_valid(0) => {
                        builder.values().append_value(list.value(0));
                    }
                    _ => builder.values().append_null(),
                }
            }
            builder.append(maps.is_valid(row))?;
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish())))
    }
}

fn negative_offset() -> DataFusionError {
    DataFusionError::Execution("a map with a negative offset".to_owned())
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
