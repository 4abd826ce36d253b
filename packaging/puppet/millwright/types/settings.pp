# @summary A TOML file: keys and tables. A key without a value (`~`), or a table without a key, is left out, so that a host
#   can take back what its group says.
type Millwright::Settings = Hash[String[1], Optional[Millwright::Value]]
