# @summary The name of a user or a group.
type Millwright::Name = Pattern[/\A[A-Za-z_][A-Za-z0-9_.-]*\z/]
