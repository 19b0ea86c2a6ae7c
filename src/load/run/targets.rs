//! From the plan's targets to registries that run.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{RunError, Target};
use crate::load::plan::{Plan, TargetAddress};
use crate::load::report::TargetKind;
use crate::load::server::{Control, ControlOptions, Embedded, EmbeddedOptions};

/// Registries of the run's own. They end, and their folders go, when this is dropped.
#[derive(Default)]
pub(super) struct OwnServers {
    embedded: Option<Embedded>,
    control: Option<Control>,
}

impl OwnServers {
    /// Ends them in good order.
    pub(super) async fn stop(self) -> Result<(), RunError> {
        let (embedded, control) = (self.embedded, self.control);
        if let Some(embedded) = embedded {
            embedded.stop().await?;
        }
        if let Some(control) = control {
            control.stop().await?;
        }
        Ok(())
    }

    /// Looks whether they are alive.
    pub(super) fn check(&mut self) -> Result<(), RunError> {
        if let Some(embedded) = &mut self.embedded {
            embedded.check()?;
        }
        if let Some(control) = &mut self.control {
            control.check()?;
        }
        Ok(())
    }
}

/// Starts what the plan wants to have started, and gives all targets in its order: those that were named, the embedded
/// one, the control.
pub(super) async fn start(plan: &Plan, program: Option<&PathBuf>) -> Result<(Vec<Target>, OwnServers), RunError> {
    let mut own = OwnServers::default();
    let max_connections = plan.max_connections as usize;
    let mut targets: Vec<Target> = plan
        .targets
        .iter()
        .map(|target| Target {
            name: target.name.clone(),
            address: target.address.clone(),
            kind: TargetKind::Remote,
            credentials: target.credentials.clone(),
            server_pid: target.server_pid,
            max_connections,
        })
        .collect();
    let mut add = |name: &str, address: std::net::SocketAddr, pid: u32, kind: TargetKind| {
        targets.push(Target {
            name: name.to_owned(),
            address: TargetAddress { host: address.ip().to_string(), port: address.port(), tls: false },
            kind,
            credentials: None,
            server_pid: Some(pid),
            max_connections,
        });
    };
    if plan.embedded {
        let wanted = plan.own_servers.clone();
        let options = EmbeddedOptions {
            program: program.cloned(),
            parent: wanted.folder,
            storage: wanted.storage,
            durability: wanted.durability,
            settings: wanted.settings.into_iter().collect(),
        };
        let embedded = Embedded::start(&options).await?;
        add("embedded", embedded.address(), embedded.pid(), TargetKind::Embedded);
        own.embedded = Some(embedded);
    }
    if plan.control {
        let options = ControlOptions { program: program.cloned(), parent: plan.own_servers.folder.clone() };
        let control = Control::start(&options).await?;
        add("control", control.address(), control.pid(), TargetKind::Control);
        own.control = Some(control);
    }
    Ok((targets, own))
}

/// Refuses every target that is not on this machine, unless its host is one of those that `in_charge_of` names. A name is
/// on this machine when all its addresses are.
pub(super) async fn check_hosts(plan: &Plan, in_charge_of: &[String]) -> Result<(), RunError> {
    for target in &plan.targets {
        let host = &target.address.host;
        if in_charge_of.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
            continue;
        }
        let unresolved = |source| RunError::Unresolved { target: target.name.clone(), host: host.clone(), source };
        let addresses: Vec<IpAddr> = tokio::net::lookup_host((host.as_str(), target.address.port))
            .await
            .map_err(unresolved)?
            .map(|address| address.ip())
            .collect();
        if addresses.is_empty() {
            return Err(unresolved(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
        }
        if !addresses.iter().all(IpAddr::is_loopback) {
            return Err(RunError::NotOurs { target: target.name.clone(), host: host.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::TargetPlan;

    fn plan(address: &str) -> Plan {
        let target =
            TargetPlan { name: "a".to_owned(), address: address.parse().unwrap(), server_pid: None, credentials: None };
        Plan { targets: vec![target], ..Plan::default() }
    }

    #[tokio::test]
    async fn targets_elsewhere_are_refused_unless_somebody_is_in_charge() {
        for address in ["127.0.0.1:1", "[::1]:1", "http://127.8.9.10:5000"] {
            check_hosts(&plan(address), &[]).await.unwrap();
        }
        for address in ["192.0.2.1:5000", "[2001:db8::1]:5000", "0.0.0.0:5000"] {
            let plan = plan(address);
            let host = plan.targets[0].address.host.clone();
            let error = check_hosts(&plan, &["127.0.0.1".to_owned()]).await.unwrap_err();
            assert!(matches!(&error, RunError::NotOurs { host: refused, .. } if *refused == host), "{error}");
            check_hosts(&plan, std::slice::from_ref(&host)).await.unwrap();
        }
    }
}
