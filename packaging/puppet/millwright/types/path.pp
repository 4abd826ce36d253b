# @summary An absolute path that can stand in a command between single quotes.
type Millwright::Path = Pattern[/\A\/[A-Za-z0-9_.\/+@:-]*\z/]
