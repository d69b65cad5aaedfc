use super::*;
use hearback_tests::StandIn;

pub(super) fn at(receiver: &StandIn) -> (Hearback, String) {
    let secret = vec![("SEGMENT_HOOK_SECRET".to_owned(), "a secret".to_owned())];
    let hearback = Hearback::with(secret);
    let destination = format!(
        "{{ kind = \"webhook\", url = \"{}/in?token=t0ken\", secret = {{ env = \"SEGMENT_HOOK_SECRET\" }} }}",
        receiver.endpoint()
    );
    (hearback, destination)
}

#[test]
fn batches_are_signed_full_and_sent_once() {
    let receiver = StandIn::start("webhook", None);
    let (hearback, destination) = at(&receiver);
    with_people(&hearback, 1_200);
    everybody_below(&hearback, 1_200, &destination);
    // The second request is throttled, the third meets a broken server.
    receiver.script(&json!({"answers": {"2": 429, "3": 503}}));
    assert_eq!(applied(&hearback)["add"], 1_200);
    let state = receiver.state();
    assert_eq!(state["violations"], json!([]));
    assert_eq!(state["members"].as_object().map(serde_json::Map::len), Some(1_200));
    assert_eq!((&state["items"], &state["ids"]), (&json!(1_200), &json!(3)));
    assert_settled(&hearback);

    everybody_below(&hearback, 1_000, &destination);
    let report = applied(&hearback);
    assert_eq!((&report["remove"], &report["keep"]), (&json!(200), &json!(1_000)));
    assert_eq!(receiver.state()["items"], 1_400, "unchanged members cost nothing");
    assert_eq!(receiver.state()["members"].as_object().map(serde_json::Map::len), Some(1_000));
    let told = hearback.run(["segments", "list"]).stdout;
    assert!(!told.contains("t0ken"), "{told}");
}

#[test]
fn what_the_receiver_refuses_is_told_without_addresses_and_comes_again_alone() {
    let receiver = StandIn::start("webhook", None);
    let (hearback, destination) = at(&receiver);
    with_people(&hearback, 30);
    everybody_below(&hearback, 30, &destination);
    receiver.script(&json!({"items": {person(3): 400}}));
    let outcome = apply(&hearback);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(!outcome.stderr.contains("example.com"), "{outcome:?}");
    assert_eq!(outcome.json()[0]["failed"], 1);
    receiver.script(&json!({}));
    assert_eq!(applied(&hearback)["add"], 1);
    assert_eq!(receiver.state()["items"], 31);
    assert_settled(&hearback);
}
