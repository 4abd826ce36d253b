# @summary A TOML file: keys and tables. A key without a value (`~`), or a table without a key, is left out: the
#   program's default holds.
type Millwright::Settings = Hash[String[1], Optional[Millwright::Value]]
