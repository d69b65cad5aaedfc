//! The keys of a bucket, page by page: responsible for getting past keys that cannot be asked for.
//!
//! S3 takes any text for a key; the store's paths have no empty segment (`mail//a.json`), none of dots, and
//! no control character, and one such key fails the page that it stands on. Then smaller and smaller pages
//! are asked for, until the key is alone and can be named and stepped over.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::{ObjectMeta, path};

/// What S3 gives at most.
const FULL_PAGE: usize = 1_000;

/// A store that gives its keys page by page, in key order.
#[derive(Clone)]
pub(crate) struct Pages(Arc<dyn PaginatedListStore>);

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

/// Where a listing stands.
struct Position {
    pages: Pages,
    prefix: String,
    /// The last key that could not be asked for: everything up to it has been given.
    after: Option<String>,
    /// The store's own mark of the place, when it has given more since. The text of the last key would
    /// not do: a path has no slash at its end, and a key may.
    token: Option<String>,
    /// Keys to ask for.
    size: usize,
    ended: bool,
}

impl Pages {
    pub(crate) fn new(store: Arc<dyn PaginatedListStore>) -> Self {
        Self(store)
    }

    /// The keys that start with a text. A key that cannot be asked for is an
    /// [`InvalidPath`](object_store::Error::InvalidPath), and more may follow it; any other error is the end.
    pub(crate) fn keys(
        &self,
        prefix: &str,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let start = Position {
            pages: self.clone(),
            prefix: prefix.to_owned(),
            after: None,
            token: None,
            size: FULL_PAGE,
            ended: false,
        };
        stream::unfold(start, |mut position| async move {
            if position.ended {
                return None;
            }
            let page = position.next_page().await;
            Some((stream::iter(page), position))
        })
        .flatten()
        .boxed()
    }
}

impl Position {
    async fn next_page(&mut self) -> Vec<object_store::Result<ObjectMeta>> {
        loop {
            let options = PaginatedListOptions {
                offset: self.after.clone().filter(|_| self.token.is_none()),
                max_keys: Some(self.size),
                page_token: self.token.clone(),
                ..PaginatedListOptions::default()
            };
            match self.pages.0.list_paginated(Some(&self.prefix), options).await {
                Ok(page) => {
                    self.ended = page.page_token.is_none();
                    self.token = page.page_token;
                    self.size = (self.size * 2).min(FULL_PAGE);
                    return page.result.objects.into_iter().map(Ok).collect();
                }
                Err(object_store::Error::InvalidPath { source }) => {
                    if self.size > 1 {
                        self.size /= 2;
                        continue;
                    }
                    // Without the key's text, or if it comes again, there is nothing to go on from.
                    let key = key_of(&source).map(str::to_owned);
                    self.ended = key.is_none() || key == self.after;
                    self.after = key;
                    self.token = None;
                    return vec![Err(object_store::Error::InvalidPath { source })];
                }
                Err(error) => {
                    self.ended = true;
                    return vec![Err(error)];
                }
            }
        }
    }
}

/// The key that is no path.
pub(crate) fn key_of(error: &path::Error) -> Option<&str> {
    match error {
        path::Error::EmptySegment { path }
        | path::Error::BadSegment { path, .. }
        | path::Error::NonUnicode { path, .. } => Some(path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use object_store::ListResult;
    use object_store::list::PaginatedListResult;
    use object_store::path::Path;

    use super::*;

    /// Keys as S3 has them: in order, any text.
    struct Keys {
        keys: Vec<String>,
        requests: AtomicUsize,
    }

    #[async_trait]
    impl PaginatedListStore for Keys {
        async fn list_paginated(
            &self,
            prefix: Option<&str>,
            options: PaginatedListOptions,
        ) -> object_store::Result<PaginatedListResult> {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let after = options.page_token.or(options.offset).unwrap_or_default();
            let rest = self.keys.iter().filter(|key| {
                key.starts_with(prefix.unwrap_or_default()) && key.as_str() > after.as_str()
            });
            let size = options.max_keys.expect("a size");
            let page: Vec<&String> = rest.clone().take(size).collect();
            let page_token = (rest.count() > size).then(|| page[size - 1].clone());
            let mut objects = Vec::new();
            for key in page {
                objects.push(ObjectMeta {
                    location: Path::parse(key)?,
                    last_modified: Default::default(),
                    size: 1,
                    e_tag: None,
                    version: None,
                });
            }
            let result = ListResult { common_prefixes: Vec::new(), objects };
            Ok(PaginatedListResult { result, page_token })
        }
    }

    async fn list(mut keys: Vec<String>, prefix: &str) -> (Vec<String>, Vec<String>, usize) {
        keys.sort();
        let store = Arc::new(Keys { keys, requests: AtomicUsize::new(0) });
        let pages = Pages::new(Arc::clone(&store) as Arc<dyn PaginatedListStore>);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let mut listed = pages.keys(prefix);
        while let Some(key) = listed.next().await {
            match key {
                Ok(meta) => good.push(meta.location.to_string()),
                Err(object_store::Error::InvalidPath { source }) => {
                    bad.push(key_of(&source).expect("a key").to_owned());
                }
                Err(error) => panic!("{error}"),
            }
        }
        (good, bad, store.requests.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_key_with_two_slashes_hides_no_other_object() {
        let mut keys: Vec<String> = (0..2_500).map(|i| format!("mail/{i:04}.json")).collect();
        let good = keys.clone();
        let odd = ["mail//0.json", "mail/0300/../x", "mail/1500/a\nb", "mail/9//z"];
        keys.extend(odd.map(str::to_owned));
        let (listed, bad, requests) = list(keys, "mail/").await;
        assert_eq!(listed, good);
        assert_eq!(bad, odd);
        assert!(requests < 100, "{requests} requests for four odd keys");
    }

    #[tokio::test]
    async fn a_folder_marker_before_a_key_with_two_slashes_does_not_hold_the_listing_up() {
        let keys = ["mail/in/", "mail/in//a.json", "mail/in//b.json", "mail/in/c.json"];
        let (good, bad, requests) = list(keys.map(str::to_owned).to_vec(), "mail/").await;
        assert_eq!(good, ["mail/in", "mail/in/c.json"]);
        assert_eq!(bad, ["mail/in//a.json", "mail/in//b.json"]);
        assert!(requests < 30, "{requests} requests for four keys");
    }

    #[tokio::test]
    async fn keys_without_oddities_are_listed_a_thousand_at_a_time() {
        let keys: Vec<String> = (0..2_500).map(|i| format!("mail/{i:04}.json")).collect();
        let (listed, bad, requests) = list(keys.clone(), "mail/").await;
        assert_eq!((listed, bad.len(), requests), (keys, 0, 3));
        assert_eq!(list(Vec::new(), "mail/").await, (Vec::new(), Vec::new(), 1));
    }
}
