//! Names that other engines have for functions that are here under another name.
//!
//! SQL of Athena, BigQuery, DuckDB and Snowflake is rewritten where a name stands for exactly one thing;
//! where it stands for different things in different engines, [`remedy`] says what to write instead.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, OrderByExpr, OrderByOptions,
    Subscript, Value,
};

/// Rewrites a call under a foreign name, and `EXTRACT`, which is `date_part`.
pub(super) fn rewrite(expr: &mut Expr) {
    let written = match expr {
        Expr::Extract { field, expr: from, .. } => {
            let part = text(&field.to_string().to_lowercase());
            Some(call("date_part", vec![part, std::mem::replace(&mut **from, text(""))]))
        }
        Expr::Function(function) => of_function(function),
        _ => None,
    };
    if let Some(written) = written {
        *expr = written;
    }
}

/// What to write instead of a function that has no one equivalent here.
pub(super) fn remedy(function: &str) -> Option<&'static str> {
    let remedy = match function.to_lowercase().as_str() {
        "date_diff" | "datediff" | "timestampdiff" | "timestamp_diff" => {
            "`extract(epoch FROM later - earlier)` gives seconds"
        }
        "date_add" | "dateadd" | "timestamp_add" | "date_sub" => {
            "add an interval: `event_time + INTERVAL '1 day'`"
        }
        "epoch_ms" => "`extract(epoch FROM event_time) * 1000` gives milliseconds",
        "len" | "size" => {
            "`length(text)`, `array_length(list)` and `cardinality(map)` count what is inside"
        }
        "safe_divide" | "div0" => "`a / nullif(b, 0)` is NULL where b is 0",
        "json_extract"
        | "json_extract_scalar"
        | "json_extract_string"
        | "json_value"
        | "json_query"
        | "get_json_object" => {
            "`extra->'bounce'->>'feedbackId'` reads a field of JSON; a path must be a literal such as '$.bounce.feedbackId'"
        }
        "mode" => "`GROUP BY` the value and `ORDER BY count(*) DESC LIMIT 1`",
        "ratio_to_report" => "`n / sum(n) OVER ()` is the share",
        "convert_from" => "`from_utf8(raw)` reads bytes as text",
        _ => return None,
    };
    Some(remedy)
}

fn of_function(function: &mut Function) -> Option<Expr> {
    let name = plain_name(&function.name)?;
    let arguments = arguments(&function.args)?;
    match (name.as_str(), arguments.as_slice()) {
        ("if" | "iff", [condition, then]) => Some(case(condition, then, None)),
        ("if" | "iff", [condition, then, otherwise]) => {
            Some(case(condition, then, Some(otherwise)))
        }
        ("regexp_extract" | "regexp_substr", [given, pattern]) => Some(whole_match(given, pattern)),
        ("regexp_extract", [given, pattern, group]) => match number(group)? {
            0 => Some(whole_match(given, pattern)),
            _ => Some(element(call("regexp_match", vec![given.clone(), pattern.clone()]), group)),
        },
        (
            "json_extract_scalar" | "json_extract_string" | "json_value" | "get_json_object",
            [json, path],
        ) => Some(json_call("json_as_text", json, path)?),
        ("json_extract" | "json_query", [json, path]) => {
            Some(json_call("json_get_json", json, path)?)
        }
        _ => {
            in_place(function, &name, arguments);
            None
        }
    }
}

/// Renames the function and moves its arguments to where they belong. Filters and windows stay.
fn in_place(function: &mut Function, name: &str, mut arguments: Vec<Expr>) {
    let mut order = Vec::new();
    let renamed = match (name, arguments.len()) {
        ("approx_count_distinct", 1) => "approx_distinct",
        ("list", 1) => "array_agg",
        ("time_bucket", 2) => "date_bin",
        ("regexp_matches", 2 | 3) => "regexp_like",
        ("strftime", 2) => "to_char",
        ("to_char", 2) => {
            if let Some(pattern) = literal(&arguments[1]).and_then(strftime_pattern) {
                arguments[1] = text(&pattern);
            }
            "to_char"
        }
        ("year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "second", 1) => {
            arguments.insert(0, text(name));
            "date_part"
        }
        ("countif" | "count_if", 1) => {
            arguments[0] = case(&arguments[0], &Expr::Value(number_value(1)), None);
            "count"
        }
        ("approx_percentile" | "approx_quantile" | "percentile_approx", 2) => {
            function.within_group = vec![ordered(arguments.remove(0), None)];
            "approx_percentile_cont"
        }
        ("max_by" | "arg_max" | "argmax", 2) => {
            order.push(ordered(arguments.remove(1), Some(false)));
            "first_value"
        }
        ("min_by" | "arg_min" | "argmin", 2) => {
            order.push(ordered(arguments.remove(1), Some(true)));
            "first_value"
        }
        ("listagg" | "group_concat", 1 | 2) => {
            if arguments.len() == 1 {
                arguments.push(text(if name == "listagg" { "" } else { "," }));
            }
            order = std::mem::take(&mut function.within_group);
            "string_agg"
        }
        _ => return,
    };
    function.name = ObjectName::from(vec![Ident::new(renamed)]);
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = arguments.into_iter().map(unnamed).collect();
        if !order.is_empty() {
            list.clauses.push(FunctionArgumentClause::OrderBy(order));
        }
    }
}

fn plain_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|ident| ident.value.to_lowercase()),
        _ => None,
    }
}

/// The arguments, if all of them are plain expressions.
fn arguments(arguments: &FunctionArguments) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = arguments else { return None };
    let mut plain = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => plain.push(expr.clone()),
            _ => return None,
        }
    }
    Some(plain)
}

fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(unnamed).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn case(condition: &Expr, then: &Expr, otherwise: Option<&Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: condition.clone(), result: then.clone() }],
        else_result: otherwise.map(|otherwise| Box::new(otherwise.clone())),
    }
}

fn ordered(expr: Expr, ascending: Option<bool>) -> OrderByExpr {
    let nulls_first = ascending.map(|_| false);
    OrderByExpr { expr, options: OrderByOptions { asc: ascending, nulls_first }, with_fill: None }
}

/// What a pattern matches as a whole: the group around it.
fn whole_match(given: &Expr, pattern: &Expr) -> Expr {
    let grouped = match literal(pattern) {
        Some(pattern) => text(&format!("({pattern})")),
        None => call("concat", vec![text("("), pattern.clone(), text(")")]),
    };
    element(call("regexp_match", vec![given.clone(), grouped]), &Expr::Value(number_value(1)))
}

/// An element of a list, counted from 1.
fn element(list: Expr, index: &Expr) -> Expr {
    let subscript = Subscript::Index { index: index.clone() };
    Expr::CompoundFieldAccess {
        root: Box::new(list),
        access_chain: vec![AccessExpr::Subscript(subscript)],
    }
}

fn json_call(function: &str, json: &Expr, path: &Expr) -> Option<Expr> {
    let mut arguments = vec![json.clone()];
    arguments.extend(steps(literal(path)?)?);
    Some(call(function, arguments))
}

/// The steps of a path such as `$.mail.tags["ses:source-ip"][0]`; `None` if it is none, or asks for
/// more than one value.
fn steps(path: &str) -> Option<Vec<Expr>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = inside.split_once(']')?;
            let quote = step.chars().next().filter(|first| matches!(first, '"' | '\''));
            steps.push(match quote {
                Some(quote) => text(step.trim_matches(quote)),
                None => Expr::Value(number_value(step.parse().ok()?)),
            });
            rest = after;
            continue;
        }
        let inside = rest.strip_prefix('.').unwrap_or(rest);
        let (step, after) = match inside.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => inside.split_at(inside.find(['.', '[']).unwrap_or(inside.len())),
        };
        if step.is_empty() || step == "*" {
            return None;
        }
        steps.push(text(step));
        rest = after;
    }
    (!steps.is_empty()).then_some(steps)
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<u32> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn number_value(number: u32) -> datafusion::sql::sqlparser::ast::ValueWithSpan {
    Value::Number(number.to_string(), false).into()
}

/// A pattern of PostgreSQL's `to_char` (`YYYY-MM-DD HH24:MI`) in strftime's words; `None` if it already
/// is one, or holds none of PostgreSQL's.
fn strftime_pattern(pattern: &str) -> Option<String> {
    /// Longer ones before those they begin with.
    const PATTERNS: [(&str, &str); 25] = [
        ("YYYY", "%Y"),
        ("IYYY", "%G"),
        ("YY", "%y"),
        ("MONTH", "%B"),
        ("MON", "%b"),
        ("MM", "%m"),
        ("MI", "%M"),
        ("MS", "%3f"),
        ("DAY", "%A"),
        ("DDD", "%j"),
        ("DD", "%d"),
        ("DY", "%a"),
        ("ID", "%u"),
        ("IW", "%V"),
        ("HH24", "%H"),
        ("HH12", "%I"),
        ("HH", "%I"),
        ("SS", "%S"),
        ("US", "%6f"),
        ("AM", "%p"),
        ("PM", "%p"),
        ("TZH", "%:::z"),
        ("TZ", "%Z"),
        ("OF", "%:z"),
        ("FM", ""),
    ];
    if pattern.contains('%') {
        return None;
    }
    let mut written = String::new();
    let mut known = false;
    let mut rest = pattern;
    'next: while let Some(letter) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            written.push_str(inside);
            rest = after;
            continue;
        }
        for (name, meaning) in PATTERNS {
            if rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                written.push_str(meaning);
                rest = &rest[name.len()..];
                known = true;
                continue 'next;
            }
        }
        written.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    known.then_some(written)
}
