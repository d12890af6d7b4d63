# frozen_string_literal: true

# Lab stand-in, not GitLab.
#
# Runs Ruby for `gitlab-rails runner`, against records of our own instead of Rails' models. The code comes on
# standard input, as JSON, because it may hold a secret; what it prints goes where the caller's output goes.

require 'json'

request = JSON.parse($stdin.read)

require_relative 'records'

begin
  eval(request.fetch('code'), TOPLEVEL_BINDING, request.fetch('name'), 1) # rubocop:disable Security/Eval -- the task
rescue SystemExit
  raise
rescue Exception => e # rubocop:disable Lint/RescueException -- syntax errors end it as well
  warn e.full_message(highlight: false, order: :top)
  exit 1
end
