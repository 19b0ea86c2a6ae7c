//! What an operator sees and does, and what cases about policies set.

use longshore::config::{Config, UploadsConfig};
use reqwest::Response;
use serde_json::{Value, json};

use super::{Registry, ReplyExt as _, eventually};

/// No policy but those that a case adds; whoever is silent loses his right soon.
pub fn without_policies(config: &mut Config) -> &mut UploadsConfig {
    let none = std::time::Duration::ZERO;
    config.uploads = UploadsConfig {
        takeover_after: std::time::Duration::from_millis(200),
        passivate_after: none,
        idle_timeout: none,
        min_rate: 0,
        max_age: none,
        keep_failed_for: none,
        min_free_space: 0,
        ..UploadsConfig::default()
    };
    &mut config.uploads
}

/// The id in an upload's address.
pub fn id_of(location: &str) -> &str {
    let path = location.split('?').next().expect("a path");
    path.rsplit('/').next().expect("an id")
}

impl Registry {
    pub async fn admin_get(&self, path: &str) -> Response {
        self.http().get(self.admin_url(path)).send().await.expect("an answer")
    }

    pub async fn admin_post(&self, path: &str, body: Value) -> Response {
        let request = self.http().post(self.admin_url(path)).header("content-type", "application/json");
        request.body(body.to_string()).send().await.expect("an answer")
    }

    /// The uploads that are listed for a query.
    pub async fn listed(&self, query: &str) -> Vec<Value> {
        let page = self.admin_get(&format!("/admin/v1/uploads{query}")).await.expect(200).await.document().await;
        page["uploads"].as_array().expect("uploads").clone()
    }

    /// One upload, as an operator sees it.
    pub async fn seen(&self, location: &str) -> Value {
        self.admin_get(&format!("/admin/v1/uploads/{}", id_of(location))).await.expect(200).await.document().await
    }

    /// Ends an upload as an operator: `cancel` or `expire`.
    pub async fn end(&self, location: &str, how: &str) -> Response {
        self.admin_post(&format!("/admin/v1/uploads/{}/{how}", id_of(location)), json!({})).await
    }

    /// Looks through the storage; gives the report.
    pub async fn scan(&self, dry_run: bool) -> Value {
        // The one that follows a start may run still.
        eventually("a scan", async || {
            self.admin_post("/admin/v1/scan", json!({"dry_run": dry_run})).await.status() == 202
        })
        .await;
        let report = async || self.admin_get("/admin/v1/scan").await.expect(200).await.document().await;
        eventually("its end", async || report().await["running"] == json!(false)).await;
        report().await
    }

    /// Waits until a metric has a value.
    pub async fn metric_becomes(&self, name: &str, value: f64) {
        eventually(&format!("{name} {value}"), async || self.metric(name).await == Some(value)).await;
    }

    /// A request to an upload that has expired is told so; gives the error's detail.
    pub async fn expired_detail(&self, reply: Response) -> Value {
        let body = reply.expect(404).await.document().await;
        assert_eq!(body["errors"][0]["code"], "BLOB_UPLOAD_UNKNOWN", "{body}");
        body["errors"][0]["detail"].clone()
    }

    /// Waits until an upload has expired and is kept; asking does not keep it alive.
    pub async fn expires(&self, location: &str, policy: &str) {
        eventually("an expiry", async || self.get(location).await.status() == 404).await;
        let detail = self.expired_detail(self.get(location).await).await;
        assert_eq!((&detail["reason"], &detail["policy"]), (&json!("expired"), &json!(policy)), "{detail}");
    }

    /// Waits until there is nothing left of an upload.
    pub async fn vanishes(&self, location: &str) {
        eventually("its end", async || {
            let reply = self.get(location).await;
            reply.status() == 404 && self.expired_detail(reply).await == json!({})
        })
        .await;
    }
}
