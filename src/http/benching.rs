//! For `benches/micro.rs`: see `src/benching.rs`.

use super::routes::Route;

/// Whether a request's path is one of the API's.
pub fn parse_path(path: &str) -> bool {
    Route::parse(path).is_ok()
}
