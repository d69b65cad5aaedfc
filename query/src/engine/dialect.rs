//! The grammar of users' statements: PostgreSQL's, with what users of DuckDB and Snowflake expect on top.
//!
//! Owns one invariant: whatever PostgreSQL's grammar reads, this one reads the same, so `->>` binds more
//! tightly than `=`, as everybody who has asked JSON columns questions expects.

use std::any::TypeId;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, JoinOperator, OrderByExpr, OrderByKind, Query, Select, SelectFlavor, SelectItem, SetExpr,
    Statement, TableAlias, TableFactor, TableSampleKind, TableSampleUnit, Value, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::error::EngineError;
use super::synonyms;

/// The grammar.
#[derive(Debug)]
pub(super) struct LakeDialect {
    base: PostgreSqlDialect,
}

impl LakeDialect {
    pub(super) fn new() -> Self {
        Self { base: PostgreSqlDialect {} }
    }
}

impl Dialect for LakeDialect {
    /// `SELECT * EXCLUDE (a, b)`.
    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    /// `SELECT * EXCEPT (a, b)`.
    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    /// `SELECT * REPLACE (lower(a) AS a)`.
    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    /// `SELECT a, b, FROM t`.
    fn supports_trailing_commas(&self) -> bool {
        true
    }

    /// `ORDER BY ALL`.
    fn supports_order_by_all(&self) -> bool {
        true
    }

    /// `FROM t SELECT a`, and `FROM t` alone.
    fn supports_from_first_select(&self) -> bool {
        true
    }

    // From here on all that PostgreSQL's grammar says for itself.

    fn dialect(&self) -> TypeId {
        self.base.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.base.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        self.base.is_delimited_identifier_start(letter)
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        self.base.is_identifier_start(letter)
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        self.base.is_identifier_part(letter)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.base.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, letter: char) -> bool {
        self.base.is_custom_operator_part(letter)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        self.base.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.base.prec_value(precedence)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        self.base.supports_unicode_string_literal()
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        self.base.supports_filter_during_aggregation()
    }

    fn supports_group_by_expr(&self) -> bool {
        self.base.supports_group_by_expr()
    }

    fn allow_extract_custom(&self) -> bool {
        self.base.allow_extract_custom()
    }

    fn allow_extract_single_quotes(&self) -> bool {
        self.base.allow_extract_single_quotes()
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        self.base.supports_explain_with_utility_options()
    }

    fn supports_factorial_operator(&self) -> bool {
        self.base.supports_factorial_operator()
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        self.base.supports_bitwise_shift_operators()
    }

    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        self.base.supports_named_fn_args_with_colon_operator()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        self.base.supports_named_fn_args_with_expr_name()
    }

    fn supports_empty_projections(&self) -> bool {
        self.base.supports_empty_projections()
    }

    fn supports_nested_comments(&self) -> bool {
        self.base.supports_nested_comments()
    }

    fn supports_string_escape_constant(&self) -> bool {
        self.base.supports_string_escape_constant()
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        self.base.supports_numeric_literal_underscores()
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        self.base.supports_array_typedef_with_brackets()
    }

    fn supports_geometric_types(&self) -> bool {
        self.base.supports_geometric_types()
    }

    fn supports_notnull_operator(&self) -> bool {
        self.base.supports_notnull_operator()
    }

    fn supports_interval_options(&self) -> bool {
        self.base.supports_interval_options()
    }

    fn supports_select_wildcard_with_alias(&self) -> bool {
        self.base.supports_select_wildcard_with_alias()
    }

    fn supports_comma_separated_trim(&self) -> bool {
        self.base.supports_comma_separated_trim()
    }

    fn supports_xml_expressions(&self) -> bool {
        self.base.supports_xml_expressions()
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        self.base.supports_comment_optimizer_hint()
    }

    // These are of statements that write, which are refused; they are read so that the refusal can say so.

    fn supports_create_index_with_clause(&self) -> bool {
        self.base.supports_create_index_with_clause()
    }

    fn supports_listen_notify(&self) -> bool {
        self.base.supports_listen_notify()
    }

    fn supports_comment_on(&self) -> bool {
        self.base.supports_comment_on()
    }

    fn supports_load_extension(&self) -> bool {
        self.base.supports_load_extension()
    }

    fn supports_set_names(&self) -> bool {
        self.base.supports_set_names()
    }

    fn supports_alter_column_type_using(&self) -> bool {
        self.base.supports_alter_column_type_using()
    }

    fn supports_insert_table_alias(&self) -> bool {
        self.base.supports_insert_table_alias()
    }

    fn supports_create_table_like_parenthesized(&self) -> bool {
        self.base.supports_create_table_like_parenthesized()
    }
}

/// Writes out what short forms leave unsaid: `FROM t` alone asks for all columns, `ORDER BY ALL` for each
/// of those selected, in their order, `ANTI JOIN` keeps rows of its left side, and a sample of a table is a
/// question of its own. Foreign names of functions become those that are here.
///
/// # Errors
/// What is read but not done.
pub(super) fn complete(statement: &mut Statement) -> Result<(), EngineError> {
    match statement.visit(&mut ShortForms) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct ShortForms;

impl VisitorMut for ShortForms {
    type Break = EngineError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<EngineError> {
        if select.flavor == SelectFlavor::FromFirstNoSelect && select.projection.is_empty() {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
            select.flavor = SelectFlavor::Standard;
        }
        for join in select.from.iter_mut().flat_map(|table| &mut table.joins) {
            match &join.join_operator {
                JoinOperator::Anti(by) => join.join_operator = JoinOperator::LeftAnti(by.clone()),
                JoinOperator::Semi(by) => join.join_operator = JoinOperator::LeftSemi(by.clone()),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<EngineError> {
        let Some(order) = &mut query.order_by else { return ControlFlow::Continue(()) };
        if let (OrderByKind::All(options), SetExpr::Select(select)) = (&order.kind, &*query.body)
            && select.projection.iter().all(is_one_column)
        {
            let options = *options;
            let by_place = (1..=select.projection.len()).map(|place| OrderByExpr {
                expr: Expr::Value(Value::Number(place.to_string(), false).into()),
                options,
                with_fill: None,
            });
            order.kind = OrderByKind::Expressions(by_place.collect());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<EngineError> {
        match table {
            TableFactor::Table { sample: Some(_), .. } => match sampled(table) {
                Some(question) => {
                    *table = question;
                    ControlFlow::Continue(())
                }
                None => refuse(
                    "of samples, only TABLESAMPLE (n PERCENT) and (n ROWS) of a table are done",
                    "`WHERE random() < 0.01` keeps about one row in a hundred",
                ),
            },
            TableFactor::Derived { sample: Some(_), .. } => refuse(
                "samples of a subquery are not done",
                "`WHERE random() < 0.01` keeps about one row in a hundred",
            ),
            TableFactor::Pivot { .. } => refuse(
                "PIVOT is not done",
                "one column for each value: `count(*) FILTER (WHERE event_type = 'bounce') AS bounces`",
            ),
            TableFactor::Unpivot { .. } => refuse(
                "UNPIVOT is not done",
                "one SELECT for each column, with UNION ALL between them",
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<EngineError> {
        synonyms::rewrite(expr);
        ControlFlow::Continue(())
    }
}

fn refuse(message: &str, hint: &str) -> ControlFlow<EngineError> {
    let (message, hint) = (message.to_owned(), Some(hint.to_owned()));
    ControlFlow::Break(EngineError::Statement { message, hint })
}

fn is_one_column(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}

/// `t TABLESAMPLE BERNOULLI (10)` as a question under the table's name. `None` if what is asked for has no
/// such form: a seed, buckets, an offset.
fn sampled(table: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, alias, sample: Some(sample), .. } = table else { return None };
    let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
        sample;
    if sample.seed.is_some() || sample.bucket.is_some() || sample.offset.is_some() {
        return None;
    }
    let quantity = sample.quantity.as_ref()?;
    let choice = match quantity.unit {
        Some(TableSampleUnit::Rows) => format!("ORDER BY random() LIMIT {}", quantity.value),
        _ => format!("WHERE random() * 100 < {}", quantity.value),
    };
    let text = format!("SELECT * FROM {name} {choice}");
    let subquery = Parser::new(&LakeDialect::new()).try_with_sql(&text).ok()?.parse_query().ok()?;
    let own_name = name.0.last()?.as_ident()?.clone();
    let alias = alias.clone().unwrap_or(TableAlias {
        explicit: true,
        name: own_name,
        columns: Vec::new(),
        at: None,
    });
    Some(TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None })
}
