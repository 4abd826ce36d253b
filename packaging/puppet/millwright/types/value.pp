# @summary What can stand behind a key in TOML.
type Millwright::Value = Variant[String, Integer, Float, Boolean, Array[Millwright::Value], Hash[String[1], Optional[Millwright::Value]]]
