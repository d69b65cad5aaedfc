//! Counting, windows, resets, outages, complaints.

use super::super::freeze::FrozenHour;
use super::super::judge::Effect;
use super::super::list::Reason;
use super::*;

fn soft(days: &[f64]) -> Vec<Bounce> {
    days.iter().map(|days| bounce(BounceClass::Routing, "Transient", *days)).collect()
}

#[test]
fn three_failed_messages_over_two_weeks_suppress_here_and_for_ninety_days() {
    let verdict = verdict(&facts(soft(&[20.0, 10.0, 2.0]), vec![]));
    let [decision] = verdict.decisions.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(decision.rule, "soft-bounces");
    assert_eq!(decision.effect, Effect::Suppress(Reason::Bounce));
    assert_eq!(decision.scope.as_str(), "local");
    assert_eq!(decision.expires_us, Some(NOW - 2 * DAY + 90 * DAY));
    assert_eq!(decision.evidence.len(), 3);
}

#[test]
fn too_few_messages_or_too_short_a_time_suppress_nobody() {
    assert!(verdict(&facts(soft(&[20.0, 2.0]), vec![])).decisions.is_empty());
    assert!(verdict(&facts(soft(&[12.0, 6.0, 2.0, 1.0]), vec![])).decisions.is_empty());
}

#[test]
fn a_bounce_that_is_reported_again_counts_once() {
    let mut bounces = soft(&[20.0, 2.0]);
    for seconds in 1..40 {
        let again = bounces[0].clone();
        let time_us = again.time_us + seconds * 1_000_000;
        bounces.push(Bounce { event_id: time_us as u128, time_us, ..again });
    }
    assert!(verdict(&facts(bounces, vec![])).decisions.is_empty());
}

#[test]
fn only_a_newer_delivery_resets_the_count() {
    let mut known = facts(soft(&[20.0, 10.0, 2.0]), vec![]);
    known.last_success_us = Some(NOW - 21 * DAY);
    assert_eq!(rules(&verdict(&known).decisions), ["soft-bounces"]);
    known.last_success_us = Some(NOW - 5 * DAY);
    assert!(verdict(&known).decisions.is_empty());
}

#[test]
fn a_delivery_after_a_hard_bounce_says_that_the_mailbox_is_there_again() {
    let mut known = facts(vec![bounce(BounceClass::InvalidRecipient, "Permanent", 9.0)], vec![]);
    known.last_success_us = Some(NOW - DAY);
    assert!(verdict(&known).decisions.is_empty());
}

#[test]
fn failures_in_different_regions_are_counted_apart() {
    let mut bounces = soft(&[30.0, 20.0, 10.0, 2.0]);
    for bounce in bounces.iter_mut().take(2) {
        bounce.origin = origin("eu-west-1");
    }
    assert!(verdict(&facts(bounces, vec![])).decisions.is_empty());
}

#[test]
fn a_full_mailbox_is_paused_and_not_listed() {
    let full = |days: &[f64]| -> Vec<Bounce> {
        days.iter().map(|days| bounce(BounceClass::MailboxFull, "Transient", *days)).collect()
    };
    assert!(verdict(&facts(full(&[40.0, 30.0, 20.0, 5.0]), vec![])).decisions.is_empty());
    let paused = verdict(&facts(full(&[40.0, 30.0, 20.0, 10.0, 5.0]), vec![]));
    assert_eq!(paused.decisions[0].effect, Effect::Pause);
    assert_eq!(paused.decisions[0].expires_us, Some(NOW + 25 * DAY));
}

#[test]
fn what_has_ended_is_decided_no_more() {
    let disabled =
        |days| facts(vec![bounce(BounceClass::InactiveMailbox, "Permanent", days)], vec![]);
    assert_eq!(verdict(&disabled(179.0)).decisions.len(), 1);
    assert!(verdict(&disabled(181.0)).decisions.is_empty());
}

#[test]
fn failures_of_a_frozen_hour_accuse_nobody() {
    let known = facts(vec![bounce(BounceClass::InvalidRecipient, "Permanent", 1.0)], vec![]);
    let hour = FrozenHour {
        provider: "example.com".to_owned(),
        hour_us: NOW - DAY,
        failed: 400,
        delivered: 600,
    };
    let freeze = Freeze::new(vec![hour], &[]);
    let frozen = judge(&known, &settings(""), &freeze, None, NOW);
    assert!(frozen.decisions.is_empty());
    assert_eq!(frozen.frozen, 1);
}

#[test]
fn complaints_are_about_whoever_they_name_alone() {
    let one = |complaints| verdict(&facts(vec![], complaints)).decisions;
    assert_eq!(rules(&one(vec![complaint(Report::Accuses, 1.0, 1)])), ["complaint"]);
    assert!(one(vec![complaint(Report::Accuses, 1.0, 3)]).is_empty(), "one of three did it");
    let twice = vec![complaint(Report::Accuses, 1.0, 3), complaint(Report::Accuses, 4.0, 2)];
    assert_eq!(rules(&one(twice)), ["complaint"]);
    assert!(one(vec![complaint(Report::AuthFailure, 1.0, 1)]).is_empty());
    assert!(one(vec![complaint(Report::NotSpam, 1.0, 1)]).is_empty());
}

#[test]
fn a_delivery_never_forgives_a_complaint_and_it_never_ends() {
    let mut known = facts(vec![], vec![complaint(Report::Accuses, 300.0, 1)]);
    known.last_success_us = Some(NOW - DAY);
    let verdict = verdict(&known);
    assert_eq!(verdict.decisions[0].effect, Effect::Suppress(Reason::Complaint));
    assert_eq!(verdict.decisions[0].expires_us, None);
}

#[test]
fn not_spam_takes_back_what_came_before_it_and_nothing_after() {
    let taken_back = vec![complaint(Report::Accuses, 5.0, 1), complaint(Report::NotSpam, 2.0, 1)];
    let cleared = verdict(&facts(vec![], taken_back));
    assert!(cleared.decisions.is_empty());
    assert_eq!(cleared.cleared.len(), 1);
    let again = vec![complaint(Report::NotSpam, 5.0, 1), complaint(Report::Accuses, 2.0, 1)];
    let accused = verdict(&facts(vec![], again));
    assert_eq!(rules(&accused.decisions), ["complaint"]);
    assert!(accused.cleared.is_empty());
}

#[test]
fn what_was_pardoned_counts_no_more_and_what_comes_later_does() {
    let known = facts(vec![bounce(BounceClass::InvalidRecipient, "Permanent", 3.0)], vec![]);
    let judged = |pardoned| judge(&known, &settings(""), &Freeze::default(), Some(pardoned), NOW);
    assert!(judged(NOW - 2 * DAY).decisions.is_empty());
    assert_eq!(judged(NOW - 4 * DAY).decisions.len(), 1);
}

#[test]
fn who_is_on_the_allow_list_is_never_decided_about() {
    let known = facts(
        vec![bounce(BounceClass::InvalidRecipient, "Permanent", 3.0)],
        vec![complaint(Report::Accuses, 1.0, 1)],
    );
    for allow in ["allow = [\"Jo@Example.com\"]", "allow = [\"@EXAMPLE.com\"]"] {
        let verdict = judge(&known, &settings(allow), &Freeze::default(), None, NOW);
        assert!(verdict.decisions.is_empty(), "{allow}");
    }
}

#[test]
fn a_rule_that_is_switched_off_decides_nothing() {
    let known = facts(vec![bounce(BounceClass::InactiveMailbox, "Permanent", 3.0)], vec![]);
    let off = settings("disabled_rules = [\"inactive-mailbox\"]");
    assert!(judge(&known, &off, &Freeze::default(), None, NOW).decisions.is_empty());
}

#[test]
fn the_order_of_events_changes_nothing() {
    let mut bounces = soft(&[30.0, 20.0, 10.0, 2.0]);
    let forward = verdict(&facts(bounces.clone(), vec![]));
    bounces.reverse();
    assert_eq!(forward, verdict(&facts(bounces, vec![])));
}
