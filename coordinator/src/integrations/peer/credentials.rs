//! In whose name we ask. The secret stays in a file of its own, and is read whenever it is needed, so that a new one is
//! used without a restart.

use crate::trusted;
use std::path::PathBuf;

/// A name and where its secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// A file with the secret and nothing else.
    pub secret_file: PathBuf,
}

impl Credentials {
    /// Name and secret.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn read(&self) -> Result<(String, String), String> {
        let shown = self.secret_file.display();
        let bytes = trusted::read(&self.secret_file)
            .map_err(|why| format!("read the secret of {} from {shown}: {why}", self.user))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("the secret in {shown} is not UTF-8"))?;
        let secret = text.trim();
        if secret.is_empty() {
            return Err(format!("there is no secret in {shown}; write the one of {} into it", self.user));
        }
        Ok((self.user.clone(), secret.to_owned()))
    }
}
