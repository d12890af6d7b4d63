# frozen_string_literal: true

# Lab stand-in, not GitLab.
#
# Makes the asymmetric secrets of gitlab-secrets.json, which the package makes with Ruby's OpenSSL too.
# Reads {"rsa": [bits, ...], "self_signed": [{"name": ..., "bits": ...}]}, writes {"rsa": [pem, ...],
# "self_signed": [{"certificate": pem, "key": pem}]}.

require 'json'
require 'openssl'
require 'securerandom'

YEARS = 10

def self_signed(name, bits)
  key = OpenSSL::PKey::RSA.new(bits)
  subject = OpenSSL::X509::Name.new([['CN', name]])
  certificate = OpenSSL::X509::Certificate.new
  certificate.version = 2
  certificate.serial = SecureRandom.random_number(2**63)
  certificate.subject = certificate.issuer = subject
  certificate.public_key = key.public_key
  certificate.not_before = Time.now
  certificate.not_after = Time.now + (YEARS * 365 * 24 * 60 * 60)
  certificate.sign(key, OpenSSL::Digest.new('SHA256'))
  { 'certificate' => certificate.to_pem, 'key' => key.to_pem }
end

request = JSON.parse($stdin.read)
pems = request.fetch('rsa').map { |bits| OpenSSL::PKey::RSA.new(bits).to_pem }
pairs = request.fetch('self_signed').map { |wanted| self_signed(wanted.fetch('name'), wanted.fetch('bits')) }
$stdout.write(JSON.generate('rsa' => pems, 'self_signed' => pairs))
