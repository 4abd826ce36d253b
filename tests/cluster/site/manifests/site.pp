# What each host of the site gets.
node 'millwright.lab.test' {
  include millwright::coordinator
}
node /\Aali/ {
  include millwright::agent
}
