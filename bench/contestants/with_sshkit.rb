# Capistrano's engine, SSHKit, with a thread for each host as is its default: with_sshkit.rb LAB HOSTS PACKAGE VERSION
require 'json'
require 'sshkit'
require 'sshkit/dsl'
include SSHKit::DSL

lab_file, hosts, package, version = ARGV
lab = JSON.parse(File.read(lab_file))
SSHKit.config.output_verbosity = Logger::ERROR
SSHKit.config.use_format :blackhole
SSHKit::Backend::Netssh.configure do |ssh|
  ssh.ssh_options = {
    keys: [lab['key']], keys_only: true, port: lab['port'], config: false, use_agent: false,
    user_known_hosts_file: lab['known'], verify_host_key: :always
  }
end

addresses = File.read(hosts).split.map { |address| "#{lab['user']}@#{address}:#{lab['port']}" }
on addresses, in: :parallel do |host|
  folder = "#{lab['root']}/#{host.hostname}"
  names = "R=#{folder} V=#{version}; "
  execute names + lab['before']
  upload! package, "#{folder}/tmp/#{version}.tar.gz"
  lab['steps'].each { |step| execute names + step }
end
