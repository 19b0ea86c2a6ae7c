//! Socket addresses, with an error that shows the form.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serializer, de};

pub(super) fn serialize<S: Serializer>(addr: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(addr)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        de::Error::custom(format_args!(
            "{text:?} is not an IP address and a port, such as 127.0.0.1:5000, 0.0.0.0:5000 or [::]:5000"
        ))
    })
}
