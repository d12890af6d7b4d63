# Registers the token of refarch's checks and takes back those of runs that died. Running it twice changes nothing more.
# How a token is made and taken back: docs.gitlab.com, user/profile/personal_access_tokens, "Create a personal access
# token programmatically" and "Revoke a personal access token programmatically".
# Before it stand `value`, `name` and `expires_at`; without a value every token of refarch is taken back.
require "date"
require "json"

prefix = "refarch-verify-"
answer = {}
begin
  user = User.find_by_username("root")
  raise "there is no user `root`" if user.nil?

  kept = value && PersonalAccessToken.find_by_token(value)
  if value && kept.nil?
    kept = user.personal_access_tokens.create(scopes: ["api"], name: name, expires_at: Date.iso8601(expires_at))
    kept.set_token(value)
    kept.save!
  end
  stale = user.personal_access_tokens.select do |token|
    token.name.start_with?(prefix) && !token.revoked? && (kept.nil? || token.id != kept.id)
  end
  stale.each { |token| token.revoke! }
  answer = { registered: !kept.nil?, revoked: stale.map { |token| token.name } }
rescue StandardError => error
  answer = { error: "#{error.class}: #{error.message}" }
end
puts "refarch-token: #{JSON.generate(answer)}"
