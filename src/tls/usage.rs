//! Checks the extendedKeyUsage of a certificate as Go does: without it, or with anyExtendedKeyUsage, the certificate
//! may be used for anything. webpki does not support anyExtendedKeyUsage.

use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext};

const ANY: &[usize] = &[2, 5, 29, 37, 0];

pub struct Usage(KeyUsage);

impl Usage {
    pub const SERVER: Self = Self(KeyUsage::server_auth());
    pub const CLIENT: Self = Self(KeyUsage::client_auth());
}

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, ids: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let ids = ids.map(|id| id.map(|id| id.to_decoded_oid()));
        let present = ids.collect::<Result<Vec<_>, _>>()?;
        let wanted: Vec<usize> = self.0.oid_values().collect();
        if present.is_empty() || present.iter().any(|id| *id == wanted || id == ANY) {
            return Ok(());
        }
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required: self.0, present }))
    }
}
