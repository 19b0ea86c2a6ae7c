//! Lists and their pages: tags, catalog.
//!
//! Source: distribution-spec, "Content Discovery"; RFC 8288.

use std::collections::HashSet;
use std::str::FromStr;

use http::Method;
use http::header::{HeaderMap, LINK};
use reqwest::Url;
use serde::Deserialize;

use super::address::set_query;
use super::auth::Scopes;
use super::error::{ClientError, Failure};
use super::exchange::{Call, Exchange, resolve};
use crate::oci::{RepositoryName, Tag};
use crate::services::{Page, PageRequest};

/// A page that is larger is none.
const MAX_PAGE_BYTES: u64 = 32 << 20;
/// A list that is longer is not read whole.
const MAX_ITEMS: usize = 1_000_000;
/// So many pages may say nothing but where to go on: a registry may leave out what is not to be seen.
pub(super) const MAX_EMPTY_PAGES: usize = 1000;

#[derive(Deserialize)]
struct TagsDocument {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct CatalogDocument {
    #[serde(default)]
    repositories: Option<Vec<String>>,
}

/// A list to ask for.
struct List<'a> {
    exchange: &'a Exchange,
    operation: &'static str,
    scopes: Scopes,
    items_of: fn(&[u8]) -> serde_json::Result<Vec<String>>,
}

pub(super) async fn tags(
    exchange: &Exchange,
    name: &RepositoryName,
    page: &PageRequest,
) -> Result<Page<Tag>, ClientError> {
    let (list, url) = tag_list(exchange, name);
    list.page(url, page).await
}

pub(super) async fn all_tags(exchange: &Exchange, name: &RepositoryName) -> Result<Vec<Tag>, ClientError> {
    let (list, url) = tag_list(exchange, name);
    list.whole(url).await
}

pub(super) async fn catalog(exchange: &Exchange, page: &PageRequest) -> Result<Page<RepositoryName>, ClientError> {
    let (list, url) = catalog_list(exchange);
    list.page(url, page).await
}

pub(super) async fn whole_catalog(exchange: &Exchange) -> Result<Vec<RepositoryName>, ClientError> {
    let (list, url) = catalog_list(exchange);
    list.whole(url).await
}

fn tag_list<'a>(exchange: &'a Exchange, name: &RepositoryName) -> (List<'a>, Url) {
    let items_of = |body: &[u8]| Ok(serde_json::from_slice::<TagsDocument>(body)?.tags.unwrap_or_default());
    let url = exchange.address.endpoint(name.components().chain(["tags", "list"]));
    (List { exchange, operation: "list tags", scopes: Scopes::pull(name), items_of }, url)
}

fn catalog_list(exchange: &Exchange) -> (List<'_>, Url) {
    let items_of = |body: &[u8]| Ok(serde_json::from_slice::<CatalogDocument>(body)?.repositories.unwrap_or_default());
    let url = exchange.address.endpoint(["_catalog"]);
    (List { exchange, operation: "list repositories", scopes: Scopes::catalog(), items_of }, url)
}

impl List<'_> {
    /// One page. A registry that does not know `n` or `last` gives more than was asked for, which is cut off here.
    async fn page<T: FromStr>(&self, mut url: Url, page: &PageRequest) -> Result<Page<T>, ClientError> {
        let limit = page.limit.map(|limit| limit.to_string());
        let parameters = [limit.as_deref().map(|limit| ("n", limit)), page.last.as_deref().map(|last| ("last", last))];
        set_query(&mut url, parameters.into_iter().flatten());
        let (mut texts, next) = self.ask(&url).await?;
        if let Some(at) = page.last.as_ref().and_then(|last| texts.iter().position(|text| text == last)) {
            texts.drain(..=at);
        }
        let limit = page.limit.unwrap_or(usize::MAX);
        let more = limit > 0 && (next.is_some() || texts.len() > limit);
        texts.truncate(limit);
        Ok(Page { items: self.parse(&url, texts)?, more })
    }

    /// All pages, by the links that the registry gives.
    async fn whole<T: FromStr>(&self, url: Url) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut seen = HashSet::from([url.clone()]);
        let mut empty_pages = 0;
        let mut next = Some(url);
        while let Some(url) = next {
            let (texts, link) = self.ask(&url).await?;
            empty_pages += usize::from(texts.is_empty());
            if empty_pages > MAX_EMPTY_PAGES {
                let cause = format!("more than {MAX_EMPTY_PAGES} pages with nothing in them");
                return Err(self.failed(&url, Failure::Answer(cause)));
            }
            if items.len() + texts.len() > MAX_ITEMS {
                return Err(self.failed(&url, Failure::TooLarge { limit_bytes: MAX_ITEMS as u64 }));
            }
            items.extend(self.parse(&url, texts)?);
            if let Some(link) = &link
                && !seen.insert(link.clone())
            {
                return Err(self.failed(link, Failure::Answer("a page that links to an earlier one".to_owned())));
            }
            next = link;
        }
        Ok(items)
    }

    async fn ask(&self, url: &Url) -> Result<(Vec<String>, Option<Url>), ClientError> {
        let call = Call::new(self.operation, Method::GET, url.clone(), self.scopes.clone()).read(MAX_PAGE_BYTES);
        let answer = self.exchange.send(call).await?;
        let wrong = |cause: String| self.failed(url, Failure::Answer(cause));
        let texts = (self.items_of)(&answer.bytes).map_err(|error| wrong(error.to_string()))?;
        let next = next_link(&answer.headers, &answer.url).map_err(wrong)?;
        Ok((texts, next))
    }

    fn parse<T: FromStr>(&self, url: &Url, texts: Vec<String>) -> Result<Vec<T>, ClientError> {
        let parse = |text: String| {
            text.parse().map_err(|_| self.failed(url, Failure::Answer(format!("{text:?} cannot be in the list"))))
        };
        texts.into_iter().map(parse).collect()
    }

    fn failed(&self, url: &Url, failure: Failure) -> ClientError {
        ClientError::new(self.operation, url, failure)
    }
}

/// The page after this one: `Link: <…>; rel="next"`.
pub(super) fn next_link(headers: &HeaderMap, url: &Url) -> Result<Option<Url>, String> {
    for value in headers.get_all(LINK) {
        let mut rest = value.to_str().map_err(|_| "link is no text".to_owned())?;
        while let Some(start) = rest.find('<') {
            let Some((target, behind)) = rest[start + 1..].split_once('>') else { break };
            let end = behind.find('<').unwrap_or(behind.len());
            if is_next(&behind[..end]) {
                return resolve(url, target).map(Some);
            }
            rest = &behind[end..];
        }
    }
    Ok(None)
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let relations = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::client::testing::{ScriptedTransport, client, reply};

    fn page(limit: Option<usize>, last: Option<&str>) -> PageRequest {
        PageRequest { limit, last: last.map(str::to_owned) }
    }

    fn names(items: &[Tag]) -> Vec<&str> {
        items.iter().map(Tag::as_str).collect()
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        let url = Url::parse("https://registry.example/v2/a/tags/list?n=2").unwrap();
        for (text, expected) in [
            ("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", Some("https://registry.example/v2/a/tags/list?n=2&last=b")),
            ("<?last=b>; rel=next", Some("https://registry.example/v2/a/tags/list?last=b")),
            ("<x>; rel=\"prev\", <y>; title=\"a\"; REL=\"last next\"", Some("https://registry.example/v2/a/tags/y")),
            ("<x>; rel=\"prev\"", None),
            ("<x", None),
            ("x; rel=next", None),
        ] {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static(text))]);
            assert_eq!(next_link(&headers, &url).unwrap().map(String::from).as_deref(), expected, "{text}");
        }
        assert!(
            next_link(&HeaderMap::from_iter([(LINK, HeaderValue::from_static("<ftp://a>;rel=next"))]), &url).is_err()
        );
    }

    #[tokio::test]
    async fn a_page_is_cut_where_the_registry_knows_no_pages() {
        let transport = ScriptedTransport::answering(|_| reply(200).body(r#"{"name":"a","tags":["a","b","c","d"]}"#));
        let repository = client(&transport).repository(&"a".parse().unwrap());
        let told = repository.tags(&page(Some(2), Some("a"))).await.unwrap();
        assert_eq!((names(&told.items), told.more), (vec!["b", "c"], true));
        let told = repository.tags(&page(Some(2), Some("b"))).await.unwrap();
        assert_eq!((names(&told.items), told.more), (vec!["c", "d"], false));
        assert_eq!(transport.lines()[0], "GET https://registry.example/v2/a/tags/list?n=2&last=a");
    }

    #[tokio::test]
    async fn links_are_followed_to_the_end_and_not_in_a_circle() {
        let pages = |seen: &crate::client::testing::Seen| match seen.url.split_once('?') {
            None => reply(200).body(r#"{"tags":["a"]}"#).header("link", "<?p=2>; rel=next"),
            Some((_, "p=2")) => reply(200).body(r#"{"tags":null}"#).header("link", "<?p=3>; rel=next"),
            _ => reply(200).body(r#"{"tags":["b"]}"#),
        };
        let repository = client(&ScriptedTransport::answering(pages)).repository(&"a".parse().unwrap());
        assert_eq!(names(&repository.all_tags().await.unwrap()), ["a", "b"]);

        let circle = |_: &_| reply(200).body(r#"{"tags":["a"]}"#).header("link", "<?p=2>; rel=next");
        let transport = ScriptedTransport::answering(circle);
        let error = client(&transport).repository(&"a".parse().unwrap()).all_tags().await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
        assert_eq!(transport.seen().len(), 2);
    }

    #[tokio::test]
    async fn pages_without_end_are_not_followed() {
        let endless = |seen: &crate::client::testing::Seen| {
            let number: usize = seen.url.split_once("p=").map_or(0, |(_, number)| number.parse().unwrap());
            assert!(number < 10 * MAX_EMPTY_PAGES, "{number} pages were read");
            reply(200).body(r#"{"tags":[],"manifests":[]}"#).header("link", &format!("<?p={}>; rel=next", number + 1))
        };
        let repository = client(&ScriptedTransport::answering(endless)).repository(&"a".parse().unwrap());
        let error = repository.all_tags().await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
        let subject = crate::client::testing::digest_of(b"");
        let request = crate::services::ReferrersRequest { subject, artifact_type: None, page: page(None, None) };
        let error = repository.referrers(&request).await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_list_is_told() {
        for body in ["<html>", r#"{"tags":["../x"]}"#, r#"{"tags":{}}"#] {
            let transport = ScriptedTransport::answering(move |_| reply(200).body(body));
            let told = client(&transport).repository(&"a".parse().unwrap()).tags(&page(None, None)).await;
            assert!(matches!(told.unwrap_err().failure(), Failure::Answer(_)), "{body}");
        }
        let transport = ScriptedTransport::answering(|_| reply(200).body(vec![b' '; 1 << 20]).endless());
        let told = client(&transport).repository(&"a".parse().unwrap()).tags(&page(None, None)).await;
        assert!(matches!(told.unwrap_err().failure(), Failure::TooLarge { .. }));
    }
}
