//! The table of the admin address: each path and method, which the OpenAPI document describes.

use actix_web::http::Method;

/// One row of the table.
#[derive(Debug)]
pub(in crate::http) struct Route {
    /// HEAD is answered wherever GET is.
    pub(in crate::http) method: Method,
    /// The path; `{id}` stands for one segment.
    pub(in crate::http) pattern: &'static str,
    pub(super) endpoint: Endpoint,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    Live,
    Ready,
    Metrics,
    OpenApi,
    ListUploads,
    ShowUpload,
    CancelUpload,
    ExpireUpload,
    StartScan,
    ShowScan,
    Reload,
}

/// Everything that the admin address serves.
pub(in crate::http) static ROUTES: [Route; 11] = [
    Route { method: Method::GET, pattern: "/livez", endpoint: Endpoint::Live },
    Route { method: Method::GET, pattern: "/readyz", endpoint: Endpoint::Ready },
    Route { method: Method::GET, pattern: "/metrics", endpoint: Endpoint::Metrics },
    Route { method: Method::GET, pattern: "/admin/v1/openapi.json", endpoint: Endpoint::OpenApi },
    Route { method: Method::GET, pattern: "/admin/v1/uploads", endpoint: Endpoint::ListUploads },
    Route { method: Method::GET, pattern: "/admin/v1/uploads/{id}", endpoint: Endpoint::ShowUpload },
    Route { method: Method::POST, pattern: "/admin/v1/uploads/{id}/cancel", endpoint: Endpoint::CancelUpload },
    Route { method: Method::POST, pattern: "/admin/v1/uploads/{id}/expire", endpoint: Endpoint::ExpireUpload },
    Route { method: Method::POST, pattern: "/admin/v1/scan", endpoint: Endpoint::StartScan },
    Route { method: Method::GET, pattern: "/admin/v1/scan", endpoint: Endpoint::ShowScan },
    Route { method: Method::POST, pattern: "/admin/v1/reload", endpoint: Endpoint::Reload },
];

/// The rows of one path, and the segment that stands for `{id}` in it.
pub(super) struct Matched<'p> {
    rows: Vec<&'static Route>,
    pub(super) id: Option<&'p str>,
}

impl Matched<'_> {
    /// What the path is called in metrics: its pattern, without the slash in front.
    pub(super) fn name(&self) -> &'static str {
        self.rows.first().map_or("", |row| row.pattern.trim_start_matches('/'))
    }

    /// Whether the path is one of the API, which is asked by programs and people only, not by scrapers and probes.
    pub(super) fn is_api(&self) -> bool {
        self.name().starts_with("admin/")
    }

    /// The row of a method.
    pub(super) fn row(&self, method: &Method) -> Option<&'static Route> {
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        self.rows.iter().find(|row| row.method == *wanted).copied()
    }

    /// The methods that the path takes.
    pub(super) fn methods(&self) -> Vec<Method> {
        let mut methods: Vec<Method> = self.rows.iter().map(|row| row.method.clone()).collect();
        if let Some(get) = methods.iter().position(|method| *method == Method::GET) {
            methods.insert(get + 1, Method::HEAD);
        }
        methods
    }
}

/// Looks a raw path up.
pub(super) fn find(path: &str) -> Option<Matched<'_>> {
    let mut rows = Vec::new();
    let mut id = None;
    for row in &ROUTES {
        if let Some(segment) = fit(row.pattern, path) {
            rows.push(row);
            id = segment;
        }
    }
    (!rows.is_empty()).then_some(Matched { rows, id })
}

/// Whether a path fits a pattern; if so, what stands for `{id}`.
fn fit<'p>(pattern: &str, path: &'p str) -> Option<Option<&'p str>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut id = None;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(id),
            (Some("{id}"), Some(segment)) if !segment.is_empty() => id = Some(segment),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_with_their_methods() {
        let found = find("/admin/v1/scan").unwrap();
        assert_eq!(found.methods(), [Method::POST, Method::GET, Method::HEAD]);
        assert!(found.row(&Method::HEAD).is_some() && found.row(&Method::DELETE).is_none());
        let found = find("/admin/v1/uploads/abc/cancel").unwrap();
        assert_eq!((found.id, found.name(), found.is_api()), (Some("abc"), "admin/v1/uploads/{id}/cancel", true));
        assert_eq!((find("/livez").unwrap().name(), find("/livez").unwrap().is_api()), ("livez", false));
    }

    #[test]
    fn nothing_beside_the_table_is_found() {
        for path in [
            "",
            "/",
            "/livez/",
            "/admin",
            "/admin/v1/uploads/",
            "/admin/v1/uploads/a/b",
            "//admin/v1/scan",
            "/v2/",
            "*",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
