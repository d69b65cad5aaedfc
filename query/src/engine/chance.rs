//! Conditions that chance decides stay where they were written.
//!
//! DataFusion moves `random() < 0.1` below a grouping or a join like any condition on none of its columns.
//! There it drops events instead of messages, and what is left of a message has lost its Send. Given the
//! form of a column first, such a condition is not moved.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Name of the column that says whether chance keeps a row.
const KEPT: &str = "__kept_by_chance";

/// Comes before the rules that move conditions.
#[derive(Debug)]
pub(super) struct ChanceStays;

impl OptimizerRule for ChanceStays {
    fn name(&self) -> &'static str {
        "chance_stays"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        if !filter.predicate.is_volatile() {
            return Ok(Transformed::no(plan));
        }
        let (chance, certain): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(filter.predicate.clone())
                .into_iter()
                .partition(Expr::is_volatile);
        let Some(chance) = conjunction(chance) else { return Ok(Transformed::no(plan)) };
        let columns: Vec<Expr> =
            filter.input.schema().columns().into_iter().map(Expr::Column).collect();
        let mut input = LogicalPlanBuilder::new_from_arc(Arc::clone(&filter.input));
        if let Some(certain) = conjunction(certain) {
            input = input.filter(certain)?;
        }
        let with_chance = columns.iter().cloned().chain([chance.alias(KEPT)]);
        let kept = input
            .project(with_chance)?
            .filter(Expr::Column(Column::from_name(KEPT)))?
            .project(columns)?
            .build()?;
        Ok(Transformed::yes(kept))
    }
}
