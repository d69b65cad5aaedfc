//! What still stands of a plan that somebody looked at: beside a lake that goes on reading, no plan stays
//! fresh for as long as it takes to look at it.
//!
//! Invariant: only changes that were looked at and that a plan made now contains too are carried out, and as
//! the new plan has them. Whoever recovered meanwhile is left alone, and nobody is added unseen.

use std::collections::HashSet;

use super::change::Action;
use super::guard::{self, Lifted};
use super::list::Reason;
use super::plan::{Item, Plan, TargetPlan};
use super::planner::plan_id;
use super::settings::Caps;

/// A plan that was brought up to date.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The changes that still stand, on the ground of today.
    pub plan: Plan,
    /// Changes that were looked at.
    pub reviewed: u64,
    /// Changes of these that do not stand any more.
    pub dropped: u64,
}

/// Keeps of a plan that was made `now` what the `reviewed` one contains as well: the same action for the same
/// reason by the same rule on the same entry of the same list. Caps hold for what is left.
#[must_use]
pub fn refresh(reviewed: &Plan, mut now: Plan, caps: &Caps, lifted: &Lifted) -> Refreshed {
    let mut seen: HashSet<Key<'_>> = HashSet::new();
    for target in &reviewed.targets {
        seen.extend(target.items.iter().map(|item| key(&target.target, item)));
    }
    let mut standing = 0;
    for target in &mut now.targets {
        let name = target.target.clone();
        target.keep += target.remove;
        target.items.retain(|item| seen.contains(&key(&name, item)));
        count(target);
        target.keep = target.keep.saturating_sub(target.remove);
        standing += target.items.len() as u64;
        let looked_at = reviewed.targets.iter().find(|other| other.target == name);
        let looked_at = looked_at.map_or(0, |other| other.items.len());
        let dropped = looked_at.saturating_sub(target.items.len());
        if dropped > 0 {
            target.notices.push(format!(
                "{dropped} of the {looked_at} changes in the reviewed plan do not stand any more, and are left out"
            ));
        }
        if target.account_id.is_some() {
            guard::check(target, caps, now.basis.active_recipients, lifted);
        }
    }
    now.plan_id = plan_id(&now.basis, &now.targets);
    now.reviewed = Some(reviewed.plan_id.clone());
    let reviewed = reviewed.targets.iter().map(|target| target.items.len() as u64).sum();
    Refreshed { plan: now, reviewed, dropped: reviewed.saturating_sub(standing) }
}

/// What makes a change the same one.
type Key<'a> = (String, &'a str, Action, Option<Reason>, &'a str);

fn key<'a>(target: &str, item: &'a Item) -> Key<'a> {
    (target.to_owned(), &item.address, item.action, item.reason, &item.rule)
}

fn count(target: &mut TargetPlan) {
    let changes = target.items.iter().filter(|item| item.actor != "outside");
    let removals = changes.filter(|item| item.action == Action::Remove).count() as u64;
    let additions = target.items.iter().filter(|item| item.action != Action::Remove).count() as u64;
    target.remove = removals;
    target.add = additions;
}
