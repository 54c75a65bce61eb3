//! Turns the names of users and groups into numbers, by the image's own `/etc/passwd` and `/etc/group`.

use std::fs;
use std::io::{Read, Write};

use hullkit_init::contract::{Container, Contract};
use serde::{Deserialize, Serialize};

use super::tree::{Content, Tree};
use super::{RootfsError, image, planned};
use crate::digest::Digest;
use crate::format::tar::read::Limits;
use crate::plan::{Image, NamedUser, Plan};
use crate::store::{Store, StoreError};

/// Most bytes read of `/etc/passwd` or `/etc/group`.
const FILE_MAX: u64 = 4 << 20;

/// What a process runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    uid: u32,
    gid: u32,
    additional: Vec<u32>,
}

/// Finish the contract: each container whose user the plan could not translate gets its numbers.
///
/// # Errors
///
/// - [`RootfsError::User`]: the image does not know the name.
/// - [`RootfsError::Plan`]: the plan points to a container or image it does not have.
/// - What reading the image's layers can fail with.
pub(crate) fn resolve(plan: &Plan, store: &Store, limits: Limits) -> Result<Contract, RootfsError> {
    let mut contract = plan.system.clone();
    for named in &plan.users {
        let identity = known(plan, named, store, limits)?;
        set(container(&mut contract, named)?, &identity);
    }
    Ok(contract)
}

/// Look an identity up where it was kept, or find it in the image and keep it: an image never changes its mind.
fn known(plan: &Plan, named: &NamedUser, store: &Store, limits: Limits) -> Result<Identity, RootfsError> {
    let key = Digest::of(format!("{} {}", named.image, named.user).as_bytes());
    let path = store.folder("identities").join(key.hex());
    if let Some(kept) = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
        return Ok(kept);
    }
    let image = planned(plan, &named.image)?;
    let tree = image::tree(store, image, limits)?;
    let read = |path: &str| read(store, image, &tree, path);
    let identity = identity(&named.user, &read("etc/passwd")?, &read("etc/group")?)
        .map_err(|what| RootfsError::User { image: image.reference.clone(), user: named.user.clone(), what })?;
    let mut file = store.temporary()?;
    // Three numbers and a list of numbers: there is nothing in it that JSON cannot say.
    let text = serde_json::to_vec(&identity).unwrap_or_default();
    file.write_all(&text).map_err(|cause| StoreError::Io { action: "write", path: path.clone(), cause })?;
    file.persist(&path)?;
    Ok(identity)
}

fn container<'a>(contract: &'a mut Contract, named: &NamedUser) -> Result<&'a mut Container, RootfsError> {
    let section = match named.section.as_str() {
        "onboot" => &mut contract.onboot,
        "services" => &mut contract.services,
        "onshutdown" => &mut contract.onshutdown,
        _ => return Err(RootfsError::Plan(format!("section `{}`", named.section))),
    };
    section
        .get_mut(named.index)
        .ok_or_else(|| RootfsError::Plan(format!("container {} of `{}`", named.index, named.section)))
}

fn set(container: &mut Container, identity: &Identity) {
    let mut process = container.spec.process().clone().unwrap_or_default();
    let mut user = process.user().clone();
    user.set_uid(identity.uid);
    user.set_gid(identity.gid);
    user.set_additional_gids((!identity.additional.is_empty()).then(|| identity.additional.clone()));
    process.set_user(user);
    container.spec.set_process(Some(process));
}

/// Read a small text file of an image; empty if it is not there.
fn read(store: &Store, image: &Image, tree: &Tree, path: &str) -> Result<String, RootfsError> {
    let Some(inode) = tree.file(path.as_bytes()) else { return Ok(String::new()) };
    let Content::Data { offset, size } = inode.content else { return Ok(String::new()) };
    let mut stream = image::open(store, image, inode.layer)?;
    let mut text = Vec::new();
    std::io::copy(&mut (&mut stream).take(offset), &mut std::io::sink())
        .and_then(|_| (&mut stream).take(size.min(FILE_MAX)).read_to_end(&mut text))
        .map_err(|cause| RootfsError::Reread(cause.into()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Translate `user` or `user:group`, names or numbers.
///
/// A user by name has the group of its line in passwd and every group that lists it; naming a group drops those, as Docker does.
///
/// # Source
///
/// OCI image-spec 1.1, `config.md`, "User"; `passwd(5)`, `group(5)`.
fn identity(text: &str, passwd: &str, group: &str) -> Result<Identity, String> {
    let (user, wanted_group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let number = |fields: &[String], at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    // `0` in the name's place is a number unless a line has it as a name, which Docker honours first as well.
    let line = passwd.lines().map(fields).find(|line| line.first().is_some_and(|name| name == user));
    let line = line.or_else(|| {
        let uid = if user.is_empty() { 0 } else { user.parse::<u32>().ok()? };
        passwd.lines().map(fields).find(|line| number(line, 2) == Some(uid))
    });
    let uid = match &line {
        Some(line) => {
            number(line, 2).ok_or_else(|| format!("the line of `{user}` in its /etc/passwd has no number"))?
        }
        None if user.is_empty() => 0,
        None => user.parse().map_err(|_| format!("its /etc/passwd has no user `{user}`"))?,
    };
    if let Some(wanted) = wanted_group.filter(|wanted| !wanted.is_empty()) {
        let line = group.lines().map(fields).find(|line| line.first().is_some_and(|name| name == wanted));
        let gid = line.as_deref().and_then(|line| number(line, 2)).or_else(|| wanted.parse().ok());
        let gid = gid.ok_or_else(|| format!("its /etc/group has no group `{wanted}`"))?;
        return Ok(Identity { uid, gid, additional: Vec::new() });
    }
    let gid = line.as_deref().and_then(|line| number(line, 3)).unwrap_or(0);
    let name = line.as_deref().and_then(|line| line.first()).map(String::as_str);
    let lists =
        |line: &Vec<String>| line.get(3).is_some_and(|members| members.split(',').any(|member| Some(member) == name));
    let mut additional: Vec<u32> =
        group.lines().map(fields).filter(lists).filter_map(|line| number(&line, 2)).collect();
    additional.sort_unstable();
    additional.dedup();
    Ok(Identity { uid, gid, additional })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:34::/var/www:/bin/false\nbroken\n7:x:70:71:::\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\ntty:x:5:root,www-data\nssl:x:4:www-data\n";

    #[test]
    fn users_are_translated_as_docker_does() {
        let cases = [
            ("www-data", Ok((33, 34, vec![4, 5]))),
            ("www-data:tty", Ok((33, 5, vec![]))),
            ("33", Ok((33, 34, vec![4, 5]))),
            ("1000", Ok((1000, 0, vec![]))),
            ("1000:2000", Ok((1000, 2000, vec![]))),
            ("7", Ok((70, 71, vec![]))),
            ("", Ok((0, 0, vec![5]))),
            ("nobody", Err("its /etc/passwd has no user `nobody`")),
            ("root:nogroup", Err("its /etc/group has no group `nogroup`")),
            ("broken", Err("the line of `broken` in its /etc/passwd has no number")),
        ];
        for (text, want) in cases {
            let got = identity(text, PASSWD, GROUP).map(|found| (found.uid, found.gid, found.additional));
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }
}
