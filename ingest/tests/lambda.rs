//! `hearback-lambda` outside Lambda. What it does inside is tested end to end, in the crate `tests`;
//! this test also has the program built beside those.

use std::process::Command;

#[test]
fn started_by_hand_it_says_what_it_is_for() {
    let output = Command::new(env!("CARGO_BIN_EXE_hearback-lambda"))
        .env_remove("AWS_LAMBDA_RUNTIME_API")
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is run by AWS Lambda"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_misspelt_variable_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_hearback-lambda"))
        .env("HEARBACK_LAKES", "s3://acme-mail/lake")
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("HEARBACK_LAKES"), "{said}");
    assert!(!said.contains("acme-mail"), "{said}");
}
