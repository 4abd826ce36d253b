# @summary A key as TOML has it: bare where it can be.
#
# @param key
#   The key, without a table before it.
# @return The key, in quotes if it needs them.
function millwright::toml_key(String[1] $key) >> String {
  $key ? {
    /\A[A-Za-z0-9_-]+\z/ => $key,
    default              => millwright::toml_value($key),
  }
}
