//! Reading the contract. In: its file. Out: a [`Contract`] of the version this init was built for.

use std::rc::Rc;

use serde::Deserialize;

use crate::boot::BootError;
use crate::contract::{Contract, PATH, VERSION};
use crate::host::Host;
use crate::sys::Sys;

/// Read the contract.
///
/// # Errors
///
/// [`BootError::ContractRead`], [`BootError::ContractVersion`], [`BootError::ContractText`].
pub fn read<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let bytes = host.sys.read(PATH).map_err(BootError::ContractRead)?;
    host.contract = Rc::new(parse(&bytes)?);
    Ok(())
}

/// Parse a contract; the version is looked at first, because a later one may read as nonsense.
///
/// # Errors
///
/// [`BootError::ContractVersion`]: it was written for another init. [`BootError::ContractText`]: it is no contract.
pub fn parse(bytes: &[u8]) -> Result<Contract, BootError> {
    match serde_json::from_slice::<Contract>(bytes) {
        Ok(contract) if contract.version == VERSION => Ok(contract),
        Ok(contract) => Err(BootError::ContractVersion { found: contract.version }),
        Err(cause) => Err(match serde_json::from_slice::<Version>(bytes) {
            Ok(Version { version }) if version != VERSION => BootError::ContractVersion { found: version },
            _ => BootError::ContractText(cause),
        }),
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_whatever_else_it_says() {
        for text in [r#"{"version":7}"#, r#"{"version":7,"services":"new shape"}"#] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, BootError::ContractVersion { found: 7 }), "{error:?}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_position() {
        let error = parse(b"{\"version\":6,\n \"services\":7}").unwrap_err();
        let BootError::ContractText(cause) = error else { panic!("{error:?}") };
        assert_eq!((cause.line(), cause.column()), (2, 13));
    }

    #[test]
    fn an_empty_system_is_a_contract() {
        assert_eq!(parse(br#"{"version":6}"#).unwrap(), Contract { version: 6, ..Contract::default() });
    }
}
