//! `date_part` and `EXTRACT` of the time between two events.
//!
//! DataFusion counts the parts of durations in 32 bits: beyond 2.1 seconds `epoch` loses its fraction
//! without a word. Everything but durations is its own business.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, Int64Array};
use arrow_cast::cast;
use arrow_schema::{DataType, FieldRef, TimeUnit};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

/// `date_part(part, time)`, right for durations too: their parts are those of PostgreSQL's intervals of
/// days and time (`hour` is 0 to 23, `millisecond` counts the seconds in).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DatePart {
    inner: Arc<ScalarUDF>,
    aliases: Vec<String>,
}

impl DatePart {
    pub(super) fn new() -> Self {
        Self { inner: datetime::date_part(), aliases: vec!["datepart".to_owned()] }
    }
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &'static str {
        "date_part"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (part, unit) = match args.args.as_slice() {
            [ColumnarValue::Scalar(part), time] => match (part.try_as_str(), time.data_type()) {
                (Some(Some(part)), DataType::Duration(unit)) => (part.to_owned(), unit),
                _ => return self.inner.inner().invoke_with_args(args),
            },
            _ => return self.inner.inner().invoke_with_args(args),
        };
        let time = &args.args[1];
        let counts = cast(&time.to_array(args.number_rows)?, &DataType::Int64)?;
        let parts = of_durations(counts.as_primitive::<Int64Type>(), unit, &part)?;
        match time {
            ColumnarValue::Scalar(_) => {
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&parts, 0)?))
            }
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(parts)),
        }
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        context: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.inner.inner().preimage(args, literal, context)
    }
}

/// One part of each duration; types as `date_part` has them.
fn of_durations(counts: &Int64Array, unit: TimeUnit, part: &str) -> Result<ArrayRef> {
    let (per_second, in_nanos) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    let name = part.trim_matches(['\'', '"']).to_lowercase();
    let name = name.strip_suffix('s').unwrap_or(&name);
    if name == "epoch" {
        // Whole seconds and the rest apart, so that no digit is lost to the float.
        let seconds = |count: i64| {
            (count / per_second) as f64 + (count % per_second) as f64 / per_second as f64
        };
        return Ok(Arc::new(counts.unary::<_, Float64Type>(seconds)));
    }
    if name == "nanosecond" {
        let nanos = |count: i64| (count % (60 * per_second)) * in_nanos;
        return Ok(Arc::new(counts.unary::<_, Int64Type>(nanos)));
    }
    let (size, modulus) = match name {
        "day" => (86_400 * per_second, i64::MAX),
        "hour" => (3_600 * per_second, 24),
        "minute" => (60 * per_second, 60),
        "second" => (per_second, 60),
        "millisecond" | "msec" => (per_second, 60_000),
        "microsecond" | "usec" => (per_second, 60_000_000),
        _ => return exec_err!("a length of time has no {part}; epoch is all of it, in seconds"),
    };
    let scale = match name {
        "millisecond" | "msec" => 1_000,
        "microsecond" | "usec" => 1_000_000,
        _ => 1,
    };
    let of = |count: i64| {
        let scaled = i128::from(count) * i128::from(scale) / i128::from(size);
        // At most 60,000,000, or days in 64 bits of microseconds: 107 million.
        (scaled % i128::from(modulus)) as i32
    };
    Ok(Arc::new(counts.unary::<_, Int32Type>(of)))
}
