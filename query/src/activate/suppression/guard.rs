//! The caps of a plan: what may change in one run without anybody saying so.
//!
//! A DNS mistake or a block list can make a whole provider look dead, and a bug can make a list look
//! expired; a cap makes either of them a question instead of an accident.

use super::plan::{Guard, TargetPlan};
use super::settings::Caps;

/// Changes that no share of active recipients forbids: 2% of a hundred people is two.
const ALWAYS: u64 = 10;

/// What an operator allowed by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// `--max-adds`.
    pub max_adds: Option<u64>,
    /// `--max-removals`.
    pub max_removals: Option<u64>,
    /// `--restore` or `--accept-drift`: somebody looked at what others took off.
    pub drift: bool,
}

/// Checks the plan of one list and notes what it exceeds.
pub fn check(plan: &mut TargetPlan, caps: &Caps, active: u64, lifted: &Lifted) {
    let limit = |most: u64, share: u64| {
        let share = u128::from(active) * u128::from(share) / 1_000_000;
        most.min(u64::try_from(share).unwrap_or(u64::MAX).max(ALWAYS))
    };
    let max_adds = lifted.max_adds.unwrap_or_else(|| limit(caps.max_adds, caps.max_add_share));
    let max_removals =
        lifted.max_removals.unwrap_or_else(|| limit(caps.max_removals, caps.max_removal_share));
    plan.guards.clear();
    if plan.add > max_adds {
        plan.guards.push(Guard {
            guard: "max-adds".to_owned(),
            limit: max_adds,
            planned: plan.add,
            why: format!(
                "{} additions, and {max_adds} are allowed ({active} recipients are active)",
                plan.add
            ),
            lift: format!("--max-adds {}", plan.add),
        });
    }
    if plan.remove > max_removals {
        plan.guards.push(Guard {
            guard: "max-removals".to_owned(),
            limit: max_removals,
            planned: plan.remove,
            why: format!(
                "{} removals, and {max_removals} are allowed ({active} recipients are active)",
                plan.remove
            ),
            lift: format!("--max-removals {}", plan.remove),
        });
    }
    let ours = plan.drift.gone + plan.keep.saturating_sub(plan.drift.not_ours);
    let drift_limit = (ours / 10).max(ALWAYS);
    if plan.drift.gone > drift_limit && !lifted.drift {
        plan.guards.push(Guard {
            guard: "drift".to_owned(),
            limit: drift_limit,
            planned: plan.drift.gone,
            why: format!(
                "{} entries of ours were taken off by somebody else, or the list was lost",
                plan.drift.gone
            ),
            lift: "--restore (puts them back) or --accept-drift (leaves them off)".to_owned(),
        });
    }
}
