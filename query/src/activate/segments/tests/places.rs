use super::*;
use crate::activate::segments::destination::{Attempts, open};

fn attempts() -> Attempts {
    let soon = std::time::Duration::from_millis(1);
    Attempts::new(Arc::new(|| 0.5)).with_pauses(soon, soon)
}

async fn sync(
    opened: &Opened,
    segment: &Segment,
    lifted: Lifted,
    rebuild: bool,
) -> Result<Applied, SegmentError> {
    let options = PlanOptions { lifted, rebuild };
    let mut plan = plan(&opened.bench(), segment, options).await?.remove(0);
    let mut place = open(&plan.spec, attempts()).await?;
    let cancel = CancelFlag::new();
    let options =
        ApplyOptions { lifted, run: Uuid::new_v4(), cancel: &cancel, progress: &|_, _| {} };
    apply(&opened.bench(), &mut plan, Some(segment), place.as_mut(), &options).await
}

fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn a_folder_has_the_set_the_differences_and_a_pointer_that_is_written_last() {
    let mut lake = TestLake::of(&people(3)).await;
    let out = lake.folder.path().join("out");
    let sql = "SELECT recipient AS address, deliveries, first_delivered_time, CAST(NULL AS DOUBLE) AS score, deliveries > 1 AS twice FROM recipients";
    let segment = Segment {
        destinations: vec![DestinationSpec::folder_or_bucket(&out.display().to_string())],
        ..segment(sql)
    };
    let none = Lifted::default();
    sync(&lake.open().await, &segment, none, false).await.expect("an application");
    lake.add(&[
        delivered("x", "p001@example.com"),
        complained("m002", "p002@example.com"),
        delivered("y", "q@example.com"),
    ])
    .await;
    let lifted = Lifted { shrink: true, ..none };
    sync(&lake.open().await, &segment, lifted, false).await.expect("an application");

    let current: Value = serde_json::from_str(&read(&out.join("test/current.json"))).expect("JSON");
    assert_eq!((&current["version"], &current["rows"]), (&json!(2), &json!(3)));
    let folder = out.join("test").join(current["folder"].as_str().expect("a folder"));
    let manifest: Value = serde_json::from_str(&read(&folder.join("manifest.json"))).expect("JSON");
    assert_eq!(manifest["lake_version"], 2);
    assert!(
        out.join("test")
            .join(manifest["previous"].as_str().expect("a folder"))
            .join("members.csv")
            .is_file()
    );
    for file in manifest["files"].as_array().expect("files") {
        let bytes =
            std::fs::read(folder.join(file["name"].as_str().expect("a name"))).expect("a file");
        assert_eq!(file["bytes"], bytes.len());
        use sha2::{Digest, Sha256};
        let digest = crate::activate::segments::change::hex(&Sha256::digest(&bytes));
        assert_eq!(file["sha256"], digest, "{file}");
    }
    let head = "address,deliveries,first_delivered_time,score,twice\n";
    let time = "2026-11-01T10:00:02Z";
    assert_eq!(
        read(&folder.join("members.csv")),
        format!(
            "{head}p000@example.com,1,{time},,false\np001@example.com,2,{time},,true\nq@example.com,1,{time},,false\n"
        )
    );
    assert_eq!(read(&folder.join("added.csv")), format!("{head}q@example.com,1,{time},,false\n"));
    assert_eq!(
        read(&folder.join("changed.csv")),
        format!("{head}p001@example.com,2,{time},,true\n")
    );
    assert_eq!(
        read(&folder.join("removed.csv")),
        format!("{head}p002@example.com,1,{time},,false\n")
    );
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let file = std::fs::File::open(folder.join("members.parquet")).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let types: Vec<String> =
        reader.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "Int64", "Timestamp(µs, \"UTC\")", "Float64", "Boolean"]);

    // The pointer is gone: somebody tidied up.
    std::fs::remove_file(out.join("test/current.json")).expect("it was there");
    let refused = sync(&lake.open().await, &segment, none, false).await;
    assert!(matches!(refused, Err(SegmentError::Refused { .. })), "{refused:?}");
    sync(&lake.open().await, &segment, none, true).await.expect("a rebuild");
    assert!(out.join("test/current.json").is_file());
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named_but_not_its_content() {
    let spec = DestinationSpec::Webhook {
        url: "https://example.com/".to_owned(),
        secret: crate::activate::segments::definition::Secret::Env(
            "HEARBACK_TEST_NO_SUCH".to_owned(),
        ),
    };
    let Err(error) = open(&spec, attempts()).await else { panic!("there is no secret") };
    assert!(
        error.to_string().ends_with("the environment variable HEARBACK_TEST_NO_SUCH is not set")
    );
}
