//! What the policy wants against what stands on the lists.

use super::super::change::{Action, Change, Outcome};
use super::super::difference::{Difference, Judged, settled};
use super::super::guard::{self, Lifted};
use super::super::judge::Cleared;
use super::super::ledger::Ledger;
use super::super::list::{Entry, ListId, ListState, Reason, folded};
use super::super::plan::TargetPlan;
use super::*;

fn list(region: &str) -> ListId {
    ListId { account: "111122223333".to_owned(), region: region.to_owned(), tenant: None }
}

fn state(entries: &[(&str, Reason, i64)]) -> ListState {
    let mut state = ListState { full_us: Some(NOW), read_us: Some(NOW), ..ListState::default() };
    for (address, reason, days_ago) in entries {
        state.put(Entry {
            address: (*address).to_owned(),
            reason: *reason,
            updated_us: NOW - days_ago * DAY,
        });
    }
    state
}

/// A finished addition of ours some days ago.
fn added(address: &str, days_ago: i64, expires_in_days: Option<i64>) -> Change {
    Change {
        list: Some(list("us-east-1")),
        address: address.to_owned(),
        recipient: folded(address),
        action: Action::Add,
        outcome: Outcome::Done,
        reason: Some(Reason::Bounce),
        rule: "inactive-mailbox".to_owned(),
        rule_version: "1".to_owned(),
        evidence: vec!["00".repeat(16)],
        evidence_us: Some(NOW - (days_ago + 1) * DAY),
        actor: "policy".to_owned(),
        note: None,
        plan_id: "p".to_owned(),
        request_id: None,
        expires_us: expires_in_days.map(|days| NOW + days * DAY),
        changed_us: NOW - days_ago * DAY,
    }
}

fn lifted(address: &str, days_ago: i64, actor: &str) -> Change {
    Change {
        action: Action::Remove,
        actor: actor.to_owned(),
        plan_id: "q".to_owned(),
        ..added(address, days_ago, None)
    }
}

fn ledger(changes: &[Change]) -> Ledger {
    let mut ledger = Ledger::default();
    for change in changes {
        ledger.take(change.clone());
    }
    ledger
}

fn judged(facts: &[Facts], ledger: &Ledger) -> Judged {
    let mut judged = Judged::default();
    for facts in facts {
        let pardoned = ledger.pardoned_us(&facts.recipient);
        let verdict = judge(facts, &settings(""), &Freeze::default(), pardoned, NOW);
        judged.decisions.extend(verdict.decisions);
        if !verdict.cleared.is_empty() {
            judged.cleared.insert(facts.recipient.clone(), verdict.cleared);
        }
        if let Some(fault) = verdict.senders_fault {
            judged.senders_fault.insert(facts.recipient.clone(), fault);
        }
    }
    judged
}

fn plan(judged: &Judged, ledger: &Ledger, state: &ListState) -> TargetPlan {
    plan_for("us-east-1", judged, ledger, state, "")
}

fn plan_for(
    region: &str,
    judged: &Judged,
    ledger: &Ledger,
    state: &ListState,
    lines: &str,
) -> TargetPlan {
    let lists = [list("us-east-1"), list("eu-west-1")];
    let settings = settings(lines);
    let difference = Difference {
        lists: &lists,
        judged,
        ledger,
        settings: &settings,
        now_us: NOW,
        restore: false,
    };
    difference.of(&list(region), state)
}

fn gone_mailbox(days_ago: f64) -> Facts {
    facts(vec![bounce(BounceClass::InvalidRecipient, "Permanent", days_ago)], vec![])
}

#[test]
fn who_does_not_exist_is_added_everywhere_and_kept_once_there() {
    let judged = judged(&[gone_mailbox(1.0)], &Ledger::default());
    for region in ["us-east-1", "eu-west-1"] {
        let plan = plan_for(region, &judged, &Ledger::default(), &state(&[]), "");
        assert_eq!((plan.add, plan.remove, plan.keep), (1, 0, 0), "{region}");
        assert_eq!(plan.items[0].address, "jo@example.com");
    }
    let there = state(&[("Jo@Example.com", Reason::Bounce, 1)]);
    let plan = plan(&judged, &Ledger::default(), &there);
    assert_eq!((plan.add, plan.remove, plan.keep), (0, 0, 1), "another spelling blocks as well");
}

#[test]
fn soft_bounces_stay_where_they_were() {
    let soft = [20.0, 10.0, 2.0].map(|days| bounce(BounceClass::Expired, "Transient", days));
    let judged = judged(&[facts(soft.to_vec(), vec![])], &Ledger::default());
    assert_eq!(plan_for("us-east-1", &judged, &Ledger::default(), &state(&[]), "").add, 1);
    assert_eq!(plan_for("eu-west-1", &judged, &Ledger::default(), &state(&[]), "").add, 0);
}

#[test]
fn evidence_of_a_tenant_with_a_list_of_its_own_stays_with_it() {
    let mut of_a_shop = gone_mailbox(1.0);
    for bounce in &mut of_a_shop.bounces {
        let shop = Some("shop-a".to_owned());
        bounce.origin = Arc::new(Origin { tenant: shop, ..(*bounce.origin).clone() });
    }
    let judged = judged(&[of_a_shop], &Ledger::default());
    let shop = ListId { tenant: Some("shop-a".to_owned()), ..list("us-east-1") };
    let lists = [list("us-east-1"), shop.clone()];
    let settings = settings("");
    let difference = Difference {
        lists: &lists,
        judged: &judged,
        ledger: &Ledger::default(),
        settings: &settings,
        now_us: NOW,
        restore: false,
    };
    assert_eq!(difference.of(&shop, &state(&[])).add, 1);
    assert_eq!(difference.of(&list("us-east-1"), &state(&[])).add, 0);
}

#[test]
fn a_complaint_makes_a_bounce_a_complaint_in_its_own_spelling_and_never_the_other_way() {
    let complained = facts(vec![], vec![complaint(Report::Accuses, 1.0, 1)]);
    let judged_complaint = judged(&[complained], &Ledger::default());
    let bounced = state(&[("Jo@example.com", Reason::Bounce, 4)]);
    let plan_up = plan(&judged_complaint, &Ledger::default(), &bounced);
    assert_eq!(plan_up.add, 1);
    assert_eq!(plan_up.items[0].address, "Jo@example.com");
    assert_eq!(plan_up.items[0].reason, Some(Reason::Complaint));
    let judged_bounce = judged(&[gone_mailbox(1.0)], &Ledger::default());
    let listed = state(&[("jo@example.com", Reason::Complaint, 4)]);
    assert_eq!(plan(&judged_bounce, &Ledger::default(), &listed).add, 0);
}

#[test]
fn an_entry_of_ours_goes_when_it_ends_and_another_s_stays() {
    let ledger = ledger(&[added("jo@example.com", 200, Some(-1))]);
    let there = state(&[
        ("jo@example.com", Reason::Bounce, 200),
        ("other@example.com", Reason::Bounce, 900),
    ]);
    let plan_now = plan(&Judged::default(), &ledger, &there);
    assert_eq!((plan_now.add, plan_now.remove, plan_now.keep), (0, 1, 1));
    assert_eq!(plan_now.items[0].address, "jo@example.com");
    assert_eq!(plan_now.items[0].actor, "expiry");
    assert_eq!(plan_now.drift.not_ours, 1);
}

#[test]
fn an_entry_that_ses_renewed_is_not_ours_to_remove() {
    let ledger = ledger(&[added("jo@example.com", 200, Some(-1))]);
    let renewed = state(&[("jo@example.com", Reason::Bounce, 3)]);
    let plan_now = plan(&Judged::default(), &ledger, &renewed);
    assert_eq!(plan_now.remove, 0);
    assert_eq!(plan_now.conflicts.len(), 1);
}

#[test]
fn an_entry_that_ended_is_not_put_back_by_the_evidence_it_rested_on() {
    let ledger =
        ledger(&[added("jo@example.com", 200, Some(-1)), lifted("jo@example.com", 1, "expiry")]);
    let old = judged(&[gone_mailbox(3.0)], &ledger);
    assert_eq!(plan(&old, &ledger, &state(&[])).add, 0);
    let new = judged(&[gone_mailbox(0.5)], &ledger);
    assert_eq!(plan(&new, &ledger, &state(&[])).add, 1);
}

#[test]
fn what_an_operator_lifted_stays_lifted_on_every_list() {
    let ledger = ledger(&[lifted("jo@example.com", 1, "kim")]);
    let old = judged(&[gone_mailbox(3.0)], &ledger);
    for region in ["us-east-1", "eu-west-1"] {
        assert_eq!(plan_for(region, &old, &ledger, &state(&[]), "").add, 0, "{region}");
    }
}

#[test]
fn what_somebody_else_took_off_is_recorded_and_left_off() {
    let ledger = ledger(&[added("jo@example.com", 2, None)]);
    let evidence = judged(&[gone_mailbox(3.0)], &ledger);
    let plan_now = plan(&evidence, &ledger, &state(&[]));
    assert_eq!((plan_now.add, plan_now.remove), (0, 0));
    assert_eq!(plan_now.drift.gone, 1);
    assert_eq!(plan_now.items[0].actor, "outside");
    let newer = judged(&[gone_mailbox(0.5)], &ledger);
    assert_eq!(plan(&newer, &ledger, &state(&[])).add, 1, "newer evidence puts it back");
}

#[test]
fn a_lost_list_is_a_question() {
    let changes: Vec<Change> =
        (0..50).map(|n| added(&format!("jo{n}@example.com"), 2, None)).collect();
    let ledger = ledger(&changes);
    let mut plan_now = plan(&Judged::default(), &ledger, &state(&[]));
    guard::check(&mut plan_now, &settings("").caps, 10_000, &Lifted::default());
    assert_eq!(plan_now.guards[0].guard, "drift");
    guard::check(
        &mut plan_now,
        &settings("").caps,
        10_000,
        &Lifted { drift: true, ..Lifted::default() },
    );
    assert!(plan_now.guards.is_empty());
}

#[test]
fn caps_count_and_share_are_lifted_by_name() {
    let facts: Vec<Facts> = (0..60)
        .map(|n| Facts { recipient: format!("jo{n}@example.com"), ..gone_mailbox(1.0) })
        .collect();
    let mut plan_now = plan(&judged(&facts, &Ledger::default()), &Ledger::default(), &state(&[]));
    let caps = settings("").caps;
    guard::check(&mut plan_now, &caps, 10_000, &Lifted::default());
    assert!(plan_now.guards.is_empty(), "2% of 10,000 are 200");
    guard::check(&mut plan_now, &caps, 1_000, &Lifted::default());
    assert_eq!((plan_now.guards[0].limit, plan_now.guards[0].planned), (20, 60));
    assert_eq!(plan_now.guards[0].lift, "--max-adds 60");
    guard::check(&mut plan_now, &caps, 1_000, &Lifted { max_adds: Some(60), ..Lifted::default() });
    assert!(plan_now.guards.is_empty());
}

#[test]
fn a_complaint_that_was_taken_back_is_taken_off_if_it_was_listed_for_it() {
    let cleared = Cleared { event_id: 7, time_us: NOW - DAY, tenant: None };
    let mut judged = Judged::default();
    judged.cleared.insert("jo@example.com".to_owned(), vec![cleared]);
    let before = state(&[("jo@example.com", Reason::Complaint, 3)]);
    assert_eq!(plan(&judged, &Ledger::default(), &before).remove, 1);
    let after = state(&[("jo@example.com", Reason::Complaint, 0)]);
    assert_eq!(plan(&judged, &Ledger::default(), &after).remove, 0, "a newer complaint wins");
}

#[test]
fn ses_s_own_entry_for_the_sender_s_fault_is_shown_and_left() {
    let refused = facts(vec![bounce(BounceClass::Policy, "Permanent", 2.0)], vec![]);
    let judged = judged(&[refused], &Ledger::default());
    let there = state(&[("jo@example.com", Reason::Bounce, 2)]);
    let plan_now = plan(&judged, &Ledger::default(), &there);
    assert_eq!((plan_now.add, plan_now.remove), (0, 0));
    assert_eq!(plan_now.conflicts.len(), 1);
}

#[test]
fn a_run_that_died_after_the_request_is_found_on_the_list() {
    let pending = Change { outcome: Outcome::Pending, ..added("jo@example.com", 1, None) };
    let ledger = ledger(&[pending]);
    let there = state(&[("jo@example.com", Reason::Bounce, 1)]);
    let rows = settled(&ledger, &list("us-east-1"), &there, NOW);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].outcome, Outcome::Done);
    assert!(settled(&ledger, &list("us-east-1"), &state(&[]), NOW).is_empty());
}
