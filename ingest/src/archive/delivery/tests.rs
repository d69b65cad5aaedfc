use std::collections::HashMap;

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::*;
use crate::archive::firehose::PutError;
use crate::aws::open_store;

/// A Firehose that keeps what it takes, and refuses by a script.
#[derive(Debug, Default)]
struct Taking {
    taken: Mutex<Vec<Bytes>>,
    requests: Mutex<Vec<usize>>,
    /// How often each record is still refused.
    refused: Mutex<HashMap<Bytes, u32>>,
    /// What the next requests answer instead of taking anything.
    errors: Mutex<Vec<PutError>>,
}

#[async_trait]
impl FirehoseApi for Taking {
    async fn put_record_batch(
        &self,
        _: &str,
        records: &[Bytes],
    ) -> Result<Vec<Option<String>>, PutError> {
        self.requests.lock().unwrap().push(records.len());
        assert!(records.len() <= 500, "{} records", records.len());
        assert!(records.iter().map(Bytes::len).sum::<usize>() <= 4 << 20);
        assert!(records.iter().all(|record| record.len() <= 1_024_000));
        if let Some(error) = self.errors.lock().unwrap().pop() {
            return Err(error);
        }
        let mut refused = self.refused.lock().unwrap();
        let answers = records.iter().map(|record| match refused.get_mut(record) {
            Some(times) if *times > 0 => {
                *times -= 1;
                Some("ServiceUnavailableException".to_owned())
            }
            _ => {
                self.taken.lock().unwrap().push(record.clone());
                None
            }
        });
        Ok(answers.collect())
    }
}

async fn delivery(api: &Arc<Taking>) -> Delivery {
    let place = open_store("memory:///archive").await.unwrap();
    Delivery::new(Arc::clone(api) as Arc<dyn FirehoseApi>, "archive", place)
}

fn documents(count: usize, size: usize) -> Vec<Document> {
    (0..count)
        .map(|number| Document {
            name: format!("shard/{number}"),
            bytes: [format!("{number}-").into_bytes(), vec![b'x'; size]].concat().into(),
        })
        .collect()
}

fn sent(api: &Taking) -> usize {
    let taken = api.taken.lock().unwrap();
    let distinct: HashSet<&Bytes> = taken.iter().collect();
    assert_eq!(distinct.len(), taken.len(), "sent twice");
    taken.len()
}

#[tokio::test]
async fn batches_keep_within_the_limits() {
    let api = Arc::new(Taking::default());
    let delivery = delivery(&api).await;
    delivery.deliver(documents(1201, 10)).await.unwrap();
    assert_eq!(*api.requests.lock().unwrap(), [500, 500, 201]);
    assert_eq!(sent(&api), 1201);

    let api = Arc::new(Taking::default());
    let delivery = self::delivery(&api).await;
    delivery.deliver(documents(9, 1_000_000)).await.unwrap();
    assert_eq!(*api.requests.lock().unwrap(), [4, 4, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_taken_is_sent_again_alone() {
    let api = Arc::new(Taking::default());
    let all = documents(100, 10);
    for (index, times) in [(3, 1), (50, 4), (99, 2)] {
        api.refused.lock().unwrap().insert(all[index].bytes.clone(), times);
    }
    let throttled = PutError { passes: true, reason: "throttled".to_owned() };
    api.errors.lock().unwrap().push(throttled);
    delivery(&api).await.deliver(all).await.unwrap();
    assert_eq!(*api.requests.lock().unwrap(), [100, 100, 3, 2, 1, 1]);
    assert_eq!(sent(&api), 100);
}

#[tokio::test(start_paused = true)]
async fn offered_again_after_a_failure_only_the_rest_is_sent() {
    let api = Arc::new(Taking::default());
    let delivery = delivery(&api).await;
    let all = documents(600, 10);
    api.refused.lock().unwrap().insert(all[550].bytes.clone(), 20);
    let error = delivery.deliver(all.clone()).await.unwrap_err();
    assert!(error.0.contains("did not take 1 records"), "{error}");
    assert_eq!(sent(&api), 599);
    api.refused.lock().unwrap().clear();
    delivery.deliver(all.clone()).await.unwrap();
    assert_eq!(sent(&api), 600);
    // Safe and forgotten: offered once more, it is another delivery.
    delivery.deliver(all[..1].to_vec()).await.unwrap();
    assert_eq!(api.taken.lock().unwrap().len(), 601);
}

#[tokio::test]
async fn an_error_that_does_not_pass_is_said_at_once() {
    let api = Arc::new(Taking::default());
    let gone = PutError { passes: false, reason: "there is no Firehose archive".to_owned() };
    api.errors.lock().unwrap().push(gone);
    let error = delivery(&api).await.deliver(documents(1, 10)).await.unwrap_err();
    assert_eq!(error.0, "there is no Firehose archive");
    assert_eq!(api.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_firehose_never_takes_is_put_into_the_store() {
    let api = Arc::new(Taking::default());
    let delivery = delivery(&api).await;
    let mut all = documents(3, 10);
    all[1].bytes = vec![b'x'; MAX_RECORD + 1].into();
    delivery.deliver(all).await.unwrap();
    assert_eq!(sent(&api), 2);
    let stored: Vec<_> = delivery.too_large.store.list(None).try_collect().await.unwrap();
    let [object] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(object.location.as_ref(), "archive/too-large/archive/shard/1");
    assert_eq!(object.size, MAX_RECORD as u64 + 1);
}
