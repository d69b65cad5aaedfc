//! What runs beside hearback, as far as it can be checked without AWS.

use std::path::{Path, PathBuf};
use std::process::Command;

use hearback_tests::python;
use serde_json::Value;

fn files(ending: &str) -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra");
    let entries = std::fs::read_dir(folder).expect("the folder infra");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

#[test]
fn every_template_passes_the_linter_of_cloudformation() {
    let templates = files(".yaml");
    assert!(templates.len() >= 4, "{templates:?}");
    let linter = python().parent().map(|folder| folder.join("cfn-lint")).expect("a folder");
    let output = Command::new(linter).args(&templates).output().expect("cfn-lint starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_policy_is_a_policy_and_the_readme_lists_it() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/README.md"));
    let readme = readme.expect("infra/README.md");
    for path in files(".json") {
        let text = std::fs::read_to_string(&path).expect("a file");
        let policy: Value = serde_json::from_str(&text).expect("JSON");
        let statements = policy["Statement"].as_array().expect("statements");
        for statement in statements {
            assert_eq!(statement["Effect"], "Allow", "{}", path.display());
            // Some actions are about an account as a whole and take no resource.
            let sid = statement["Sid"].as_str().expect("a name");
            let takes_none = sid.ends_with("NoResources") || sid.ends_with("WithoutResources");
            let takes_all = statement["Resource"] == "*";
            assert_eq!(takes_all, takes_none, "{}: {sid}", path.display());
            let actions = statement["Action"].as_array().expect("actions");
            assert!(actions.iter().all(|action| !action.to_string().contains('*')), "{actions:?}");
        }
    }
    for path in [files(".json"), files(".yaml"), files(".service")].concat() {
        let name = path.file_name().and_then(|name| Path::new(name).to_str()).expect("a name");
        assert!(readme.contains(name), "{name} is not in infra/README.md");
    }
}
