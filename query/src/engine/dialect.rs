//! The grammar of users' statements: PostgreSQL's, with what users of DuckDB and Snowflake expect on top.
//!
//! Owns one invariant: whatever PostgreSQL's grammar reads, this one reads the same, so `->>` binds more
//! tightly than `=`, as everybody who has asked JSON columns questions expects.

use std::any::TypeId;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, OrderByExpr, OrderByKind, Query, Select, SelectFlavor, SelectItem, SetExpr, Statement,
    Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

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

/// Writes out what short forms leave unsaid: `FROM t` alone asks for all columns, and `ORDER BY ALL` for
/// each of those selected, in their order.
pub(super) fn complete(statement: &mut Statement) {
    // The visitor never stops early.
    let _ = statement.visit(&mut ShortForms);
}

struct ShortForms;

impl VisitorMut for ShortForms {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.flavor == SelectFlavor::FromFirstNoSelect && select.projection.is_empty() {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
            select.flavor = SelectFlavor::Standard;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
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
}

fn is_one_column(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}
