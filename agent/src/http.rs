//! How the agent speaks HTTP as a client: one way to build it, small and without surprises.

use reqwest::{Client, ClientBuilder, redirect::Policy};
use std::{error::Error, time::Duration};

/// A client that follows no redirects, knows no proxies, and keeps one connection.
pub fn client(timeout: Duration) -> ClientBuilder {
    // reqwest asks for a provider even where there is no TLS; a second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(timeout)
        .http1_only()
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1)
        // No outside server is spoken to, so no list of certificate authorities is loaded.
        .tls_certs_only([])
}

/// The innermost reason; reqwest's outer ones only repeat the address.
pub fn innermost(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
