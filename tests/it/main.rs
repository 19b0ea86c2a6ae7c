//! A real server on a free port, asked through real sockets: a module for each part of the API.
//!
//! | what a client may expect | where |
//! |---|---|
//! | `GET /v2/`, an empty repository | `base` |
//! | blobs pushed in every way, with sha256 and sha512; chunks out of order; bad digests; zero bytes | `pushes` |
//! | an upload's status, cancel, replay, take-over, cut bodies, restarts | `uploads`, `restarts` |
//! | what a client may do again, and what it is told then | `resume` |
//! | time-outs, rates, ages and sizes; limits; little space on the disk | `policies`, `sizes`, `limits`, `disk` |
//! | uploads that leave memory; that an earlier process left; that nobody knows | `passivation`, `restarts`, `orphans` |
//! | every acknowledged byte synced | `ack` |
//! | mounts | `mounts` |
//! | blobs pulled: heads, ranges, conditions | `pulls` |
//! | manifests: every data set, media types, conditions, limits | `manifests`, `data_sets` |
//! | tags, catalog, referrers: pages and links | `tags`, `catalog`, `referrers` |
//! | deletes are visible at once | `deletes` |
//! | the very requests of docker, containerd, crane, regctl, buildkit and jib | `clients` |
//! | `Location` behind a proxy, HTTP/2, TLS | `transport` |
//! | errors in one form, limits, hostile input | `errors`, `hostile` |
//! | connections that break at every place, requests that come twice | `chaos` |
//! | one suite of all services, in process and by the client | `services` |
//! | how few storage calls a request makes; that each byte is written once | `costs` |
//! | the admin address and the metrics' names | `admin`, `admin_uploads`, `admin_reload` |
//! | the program's commands for operators | `cli_uploads` |
//! | files as distribution lays them out | `layout` |
//!
//! Every case ends with a look at what it left: an upload, a temporary file or a key that is not
//! content of the registry fails it.

/// Makes each case a test on both storage drivers.
macro_rules! on_both_drivers {
    ($($case:ident,)+) => {
        mod filesystem {
            $(#[tokio::test]
            async fn $case() {
                crate::harness::run(crate::harness::Storage::Filesystem, super::$case).await;
            })+
        }
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                crate::harness::run(crate::harness::Storage::Memory, super::$case).await;
            })+
        }
    };
}

/// The same for cases that start their registry themselves.
macro_rules! on_both_storages {
    ($($case:ident,)+) => {
        mod filesystem {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::harness::Storage::Filesystem).await;
            })+
        }
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::harness::Storage::Memory).await;
            })+
        }
    };
}

mod ack;
mod admin;
mod admin_reload;
mod admin_uploads;
mod base;
mod catalog;
mod chaos;
mod cli_uploads;
mod clients;
mod costs;
mod crowd;
mod data_sets;
mod deletes;
mod disk;
mod errors;
mod harness;
mod hostile;
mod layout;
mod limits;
mod manifests;
mod mounts;
mod orphans;
mod passivation;
mod policies;
mod pulls;
mod pushes;
mod referrers;
mod restarts;
mod resume;
mod services;
mod sizes;
mod tags;
mod transport;
mod uploads;
