using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Commands;
using Xunit;

namespace Mirror.Tests.Commands;

/// <summary>The verbs: their arguments, exit codes, stdout and stderr.</summary>
public sealed class CommandLineTests : IDisposable
{
    private const string Ed25519 = """
        -----BEGIN CERTIFICATE-----
        MIIBLjCB4aADAgECAhQa9ZETVafu3hocF8oG517y7fsz9TAFBgMrZXAwDDEKMAgG
        A1UEAwwBeDAgFw0yNjExMjcyMDI4MDJaGA8yMTI2MTEwMzIwMjgwMlowDDEKMAgG
        A1UEAwwBeDAqMAUGAytlcAMhAOgadprT7EtRSvcrjUL2fVqwU7zSiYxJMS8P7jJH
        wGpCo1MwUTAdBgNVHQ4EFgQUmsq3h2pV2L2C8+VKwiKBgaljL0swHwYDVR0jBBgw
        FoAUmsq3h2pV2L2C8+VKwiKBgaljL0swDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXAD
        QQDLr+P0dUZT95fAOCbRTmBOLt49cJZDt5rUWud2hWPGnMM8YtOxO/+1efQ9wdwG
        KgqdN8n4vbasHSRulODYVfwG
        -----END CERTIFICATE-----
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_version_is_printed_with_the_name()
    {
        var (code, output, error) = await RunAsync(["--version"]);

        Assert.Equal((0, ""), (code, error));
        Assert.Matches(@"\Amirror [0-9]+\.[0-9]+\.[0-9]+\S*\n\z", output);
    }

    [Fact]
    public async Task A_folder_in_place_of_the_configuration_file_is_called_one_with_and_without_the_verb()
    {
        var (code, _, error) = await RunAsync([_folder.FullName]);

        Assert.Equal(1, code);
        Assert.Contains(_folder.FullName, error);
        Assert.Equal(await RunAsync(["serve", _folder.FullName]), (code, "", error));
    }

    [Theory]
    [InlineData("Commands:", "help")]
    [InlineData("--delete-untagged", "help", "garbage-collect")]
    public async Task The_verb_help_of_the_registry_prints_help(string expected, params string[] args)
    {
        var (code, output, error) = await RunAsync(args);

        Assert.Equal((0, ""), (code, error));
        Assert.Contains(expected, output);
    }

    [Theory]
    [InlineData("bogus")]
    [InlineData("serve", "a", "b")]
    [InlineData("check-config", "--loud")]
    [InlineData("check-config", "")]
    [InlineData("serve", "")]
    [InlineData("evict", "--dry-run", "--limit=-1")]
    [InlineData("garbage-collect", "--release", "")]
    [InlineData("garbage-collect", "--release", "Bad/*")]
    public async Task A_command_line_that_is_not_valid_ends_with_2(params string[] args)
    {
        var (code, output, error) = await RunAsync(args);

        Assert.Equal((2, ""), (code, output));
        Assert.Contains("See mirror --help.", error);
    }

    [Theory]
    [InlineData("serve")]
    [InlineData("check-config")]
    [InlineData("clients")]
    [InlineData("verify")]
    [InlineData("garbage-collect")]
    [InlineData("import-v1")]
    [InlineData("schema1", "list")]
    [InlineData("copy")]
    [InlineData("health")]
    [InlineData("htpasswd")]
    [InlineData("htpasswd", "-Bbn", "alice")]
    [InlineData("token")]
    [InlineData("images")]
    [InlineData("images", "nginx")]
    [InlineData("images", "--user")]
    [InlineData("usage")]
    [InlineData("why")]
    [InlineData("purge")]
    [InlineData("pin")]
    [InlineData("unpin")]
    [InlineData("release")]
    [InlineData("evict", "--dry-run")]
    [InlineData("warm")]
    [InlineData("reload")]
    public async Task Every_verb_refuses_an_unknown_option(params string[] verb)
    {
        var (code, output, error) = await RunAsync([.. verb, "--bogus"]);

        Assert.Equal((2, ""), (code, output));
        Assert.Contains("'--bogus'", error);
    }

    [Fact]
    public async Task What_follows_two_dashes_is_no_option()
    {
        var (code, output, _) = await RunAsync(["htpasswd", "-Bbn", "-C", "4", "--", "alice", "--bogus"]);

        Assert.Equal(0, code);
        Assert.StartsWith("alice:$2y$", output);
    }

    [Theory]
    [InlineData("serve")]
    [InlineData("check-config")]
    [InlineData("clients")]
    [InlineData(null)]
    public async Task A_configuration_with_mistakes_ends_every_verb_with_1(string? verb)
    {
        var file = Write("version: 0.1\nhttp: {addr: x}\nstorage: gcs\n");

        var (code, output, error) = await RunAsync(verb is null ? [file] : [verb, file]);

        Assert.Equal((1, ""), (code, output));
        Assert.Equal(2, error.Split('\n').Count(line => line.StartsWith($"error: {file}: ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_mistake_in_a_variable_is_reported_with_its_name()
    {
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(
            ["check-config", Write("version: 0.1\n")], new Dictionary<string, string> { ["REGISTRY_HTTP_ADDR"] = "foo" }, error, error);

        Assert.Equal(1, code);
        Assert.StartsWith("error: REGISTRY_HTTP_ADDR: http.addr: \"foo\" is not allowed", error.ToString());
    }

    [Fact]
    public async Task Clients_reads_the_file_that_its_option_names()
    {
        var (code, output, _) = await RunAsync(["clients", "-c", Write("version: 0.1\nhttp: {addr: \"10.0.0.1:5000\"}\n")]);

        Assert.Equal(0, code);
        Assert.Contains("10.0.0.1:5000", output);
    }

    [Theory]
    [InlineData("Bad Pattern", 2, "--repositories \"Bad Pattern\": a repository name in which * stands for anything")]
    [InlineData("team/**", 6, "warning: no repository matches team/**")]
    public async Task Copy_of_no_repository_is_no_success(string pattern, int expected, string message)
    {
        var from = Path.Combine(_folder.FullName, "from");
        Directory.CreateDirectory(Path.Combine(from, "docker/registry/v2/repositories"));
        var source = Write($"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {from}}}}}\n");
        var target = Path.Combine(_folder.FullName, "target.yml");
        File.WriteAllText(target, $"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {from}-copy}}}}\n");

        var (code, _, error) = await RunAsync(["copy", "--from", source, "--to", target, "--repositories", pattern]);

        Assert.Contains(message, error);
        Assert.Equal(expected, code);
    }

    [Theory]
    [InlineData("garbage-collect", "--release")]
    [InlineData("copy", "--to", "to.yml", "--repositories")]
    [InlineData("warm")]
    [InlineData("pin")]
    [InlineData("purge")]
    [InlineData("release")]
    [InlineData("why")]
    [InlineData("images")]
    public async Task A_configuration_file_in_the_place_of_a_forgotten_value_is_refused(params string[] verb)
    {
        var file = Write("version: 0.1\n");

        var (code, output, error) = await RunAsync([.. verb, file]);

        Assert.Equal((2, ""), (code, output));
        Assert.Contains(file, error);
        Assert.Contains("is a file", error);
    }

    [Fact]
    public async Task A_release_that_gives_up_nothing_is_no_success()
    {
        var root = _folder.CreateSubdirectory("root").FullName;

        var (code, _, error) = await RunAsync(
            ["garbage-collect", "--release", "team/*", Write($"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n")]);

        Assert.Equal(6, code);
        Assert.Contains("warning: --release team/* gave up nothing", error);
    }

    [Fact]
    public async Task A_user_without_a_name_gets_no_line_for_a_password_file()
    {
        var (code, output, error) = await RunAsync(["htpasswd", "-Bbn", "-C", "4", "", "password"]);

        Assert.Equal((2, ""), (code, output));
        Assert.Contains("give a user name", error);
    }

    [Theory]
    [InlineData("serv", "serve")]
    [InlineData("chekc-config", "check-config")]
    [InlineData("garbagecollect", "garbage-collect")]
    [InlineData("frobnicate", null)]
    public async Task A_mistyped_verb_is_told_the_nearest(string verb, string? nearest)
    {
        var (code, _, error) = await RunAsync([verb]);

        Assert.Equal((2, nearest is not null), (code, error.Contains($"Did you mean: {nearest}?", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("http: {tls: {certificate: /nowhere, key: FILE}}", "http.tls.certificate: /nowhere does not exist")]
    [InlineData("http: {tls: {certificate: FOLDER, key: FILE}}", "http.tls.certificate: FOLDER is a folder, not a file")]
    [InlineData("http: {tls: {certificate: FILE, key: FILE}}", "http.tls.certificate: FILE holds no certificate in PEM form")]
    [InlineData("http: {tls: {letsencrypt: {cachefile: FOLDER, hosts: [a.example]}, clientcas: [FILE]}}",
        "http.tls.clientcas: FILE holds no certificate in PEM form")]
    [InlineData("proxy: {remoteurl: https://x, tls: {ca: /nowhere}}", "proxy.tls.ca: /nowhere does not exist")]
    [InlineData("proxy: {remoteurl: https://x, exec: {command: /nowhere}}", "proxy.exec.command: /nowhere does not exist")]
    [InlineData("proxy: {upstreams: [{remoteurl: https://x, exec: {command: FILE}}]}",
        "proxy.upstreams.0.exec.command: FILE is not executable; allow it with chmod +x")]
    [InlineData("proxy: {remoteurl: https://x, exec: {command: docker-credential-none}}",
        "proxy.exec.command: docker-credential-none is in no folder of PATH")]
    [InlineData("proxy: {upstreams: [{remoteurl: https://x, tls: {ca: FILE}}]}", "proxy.upstreams.0.tls.ca: FILE holds no certificate")]
    [InlineData("http: {secret: long-enough}\nredis: {addr: \"x:1\", tls: {rootcas: [FOLDER]}}",
        "redis.tls.rootcas: FOLDER is a folder, not a file")]
    [InlineData("storage: {filesystem: {rootdirectory: FILE}}", "storage.filesystem.rootdirectory: FILE is a file, not a folder")]
    [InlineData("auth: {htpasswd: {realm: r, path: /nowhere}}",
        "auth.htpasswd.path: /nowhere does not exist; make it with: htpasswd -Bbn USER")]
    public async Task What_is_wrong_with_a_file_is_found_without_a_start(string yaml, string expected)
    {
        var other = Path.Combine(_folder.FullName, "file");
        File.WriteAllText(other, "hello\n");
        string Named(string text) =>
            text.Replace("FILE", other, StringComparison.Ordinal).Replace("FOLDER", _folder.FullName, StringComparison.Ordinal);
        var file = Write($"version: 0.1\n{Named(yaml)}\n");

        foreach (var verb in new[] { "check-config", "serve" })
        {
            var (code, output, error) = await RunAsync([verb, file]);

            Assert.Equal((1, ""), (code, output));
            Assert.StartsWith($"error: {file}: {Named(expected)}", error);
            Assert.Single(error.TrimEnd().Split('\n'));
        }
    }

    [Theory]
    [InlineData("rsa.crt", "ec.key", "http.tls.key: ec.key cannot be used: the key does not belong to the first certificate in rsa.crt")]
    [InlineData("rsa.crt", "other.key",
        "http.tls.key: other.key cannot be used: the key does not belong to the first certificate in rsa.crt")]
    [InlineData("rsa.crt", "encrypted.key",
        "http.tls.key: encrypted.key cannot be used: the key is encrypted; write it without its passphrase")]
    [InlineData("rsa.crt", "rsa.crt", "http.tls.key: rsa.crt holds no private key in PEM form")]
    [InlineData("ed25519.crt", "ec.key", "http.tls.certificate: ed25519.crt cannot be used: its key is of the kind ")]
    public async Task What_is_wrong_with_a_certificate_or_its_key_is_told(string certificate, string key, string expected)
    {
        using var rsa = RSA.Create(2048);
        using var other = RSA.Create(2048);
        using var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=x", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var encryption = new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1);
        foreach (var (name, pem) in new[]
        {
            ("rsa.crt", own.ExportCertificatePem()), ("other.key", other.ExportPkcs8PrivateKeyPem()),
            ("ec.key", ec.ExportPkcs8PrivateKeyPem()),
            ("encrypted.key", rsa.ExportEncryptedPkcs8PrivateKeyPem("x", encryption)), ("ed25519.crt", Ed25519),
        })
            File.WriteAllText(Path.Combine(_folder.FullName, name), pem);
        var tls = $"{{certificate: {_folder.FullName}/{certificate}, key: {_folder.FullName}/{key}}}";

        var (code, _, error) = await RunAsync(["check-config", Write($"version: 0.1\nhttp: {{tls: {tls}}}\n")]);

        Assert.Equal(1, code);
        Assert.Contains(expected, error.Replace($"{_folder.FullName}/", "", StringComparison.Ordinal));
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData(-30, -1, "expired on ")]
    [InlineData(1, 30, "is valid only from ")]
    [InlineData(-1, 1, null)]
    public async Task A_certificate_that_clients_refuse_for_its_dates_is_named(int from, int until, string? expected)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=x", key, HashAlgorithmName.SHA256);
        using var own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(from), DateTimeOffset.UtcNow.AddDays(until));
        var file = Path.Combine(_folder.FullName, "own.pem");
        File.WriteAllText(file, own.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem());

        var (code, _, error) = await RunAsync(
            ["check-config", Write($"version: 0.1\nhttp: {{tls: {{certificate: {file}, key: {file}}}}}\n")]);

        Assert.Equal(0, code);
        Assert.Equal(expected is not null, error.Contains($"http.tls.certificate: {file} {expected}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_storage_folder_that_is_a_link_to_nothing_is_not_called_a_file()
    {
        var link = Path.Combine(_folder.FullName, "link");
        File.CreateSymbolicLink(link, "/nowhere/registry");

        var (code, _, error) = await RunAsync(
            ["check-config", Write($"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {link}}}}}\n")]);

        Assert.Equal(1, code);
        Assert.Contains($"{link} is a symbolic link to /nowhere/registry, and no folder can be opened there", error);
    }

    [Fact]
    public async Task The_users_of_a_password_file_who_cannot_log_in_are_named()
    {
        var users = Path.Combine(_folder.FullName, "htpasswd");
        File.WriteAllText(users,
            "# nginx\na:{SHA}w6uP8Tcg6K2QR905Rms8iXTlksL6OD1KOWBxTK7wxPI=\nb:$apr1$xx$yy\nc:$6$xx$yy\nd:hunter2\ne:hunter2\nhunter2\n");

        var (code, output, error) = await RunAsync(
            ["check-config", Write($"version: 0.1\nauth: {{htpasswd: {{realm: r, path: {users}}}}}\n")]);

        Assert.Equal(0, code);
        foreach (var line in new[] { "a cannot log in: the file has SHA-1", "b cannot log in: the file has MD5",
            "c cannot log in: the file has SHA-512",
            "d, e cannot log in: the file has plain text", "no user can log in", "1 lines are ignored" })
            Assert.Contains($"warning: auth.htpasswd.path: {users}: {line}", error);
        Assert.DoesNotContain("hunter2", output + error);
    }

    [Fact]
    public async Task The_effective_configuration_has_defaults_and_no_secret()
    {
        var file = Write("""
            version: 0.1
            http: {secret: hunter2, draintimeout: 90}
            log: {fields: {api_key: hunter2, service: registry}}
            proxy: {remoteurl: https://index.docker.io, username: me, password: hunter2}
            redis: {addr: "r:6379", password: hunter2, sentinelpassword: hunter2, readonly: true}
            notifications:
              endpoints:
                - {name: a, url: "https://me:hunter2@x/y", headers: {Authorization: [Bearer hunter2], X-Other: hunter2}}
            """);

        var (code, output, error) = await RunAsync(["check-config", file]);

        Assert.Equal(0, code);
        Assert.DoesNotContain("hunter2", output + error);
        Assert.Contains("  draintimeout: 1m30s\n", output);
        Assert.Contains("    rootdirectory: /var/lib/registry\n", output);
        Assert.Contains("  remoteurl: https://registry-1.docker.io\n", output);
        Assert.Contains("  password: '***'\n", output);
        Assert.Contains("    url: https://***@x/y\n", output);
        Assert.Contains("    service: registry\n", output);
        Assert.Contains("warning: redis.readonly has no effect: the master of Redis is asked, since a copy can be older than what "
            + "other replicas have written\n", error);
    }

    [Fact]
    public async Task The_effective_configuration_is_read_back_to_itself()
    {
        var file = Write("version: 0.1\nhosted: {repositories: [\"**\", a/*]}\nlog: {level: warn}\n");

        var (_, first, _) = await RunAsync(["check-config", file]);
        var (code, second, error) = await RunAsync(["check-config", Write(first)]);

        Assert.Equal((0, ""), (code, error));
        Assert.Equal(first, second);
    }

    [Fact]
    public async Task The_clients_of_a_mirror_get_each_file_that_they_need()
    {
        var file = Write("version: 0.1\nhttp: {host: https://mirror.example}\nproxy: {remoteurl: https://docker.io}\n");

        var (code, output, _) = await RunAsync(["clients", file]);

        Assert.Equal(0, code);
        Assert.Contains("\"registry-mirrors\": [\"https://mirror.example\"]", output);
        Assert.Contains("certs.d/docker.io/hosts.toml", output);
        Assert.Contains("[host.\"https://mirror.example\"]", output);
        Assert.Contains("location = \"mirror.example\"\ninsecure = false", output);
        Assert.Contains("mirrors = [\"mirror.example\"]", output);
        Assert.Contains("- \"https://mirror.example\"", output);
        Assert.DoesNotContain("http = true", output);
        Assert.Contains("mirrors:\n  \"docker.io\":\n    endpoint:\n      - \"https://mirror.example\"\n", output);
        Assert.Contains("k3d cluster create --registry-config registries.yaml", output);
        Assert.Contains("containerdConfigPatches:\n- |-\n  [plugins", output);
        Assert.Contains("      \"docker.io\":\n        endpoints:\n          - \"https://mirror.example\"\n", output);
        Assert.Contains("    buildkitd-config-inline: |\n      [registry.\"docker.io\"]\n        mirrors = [\"mirror.example\"]\n", output);
        Assert.Contains("- --registry-mirror=https://mirror.example\n", output);
        Assert.Contains("command = [\"--registry-mirror\", \"https://mirror.example\"]\n", output);
    }

    [Fact]
    public async Task Each_upstream_is_in_the_files_of_the_clients_that_know_more_than_Docker_Hub()
    {
        var file = Write("""
            version: 0.1
            http: {host: http://mirror.example:5000}
            proxy:
              remoteurl: https://registry-1.docker.io
              upstreams:
              - {remoteurl: https://ghcr.io}
            """);

        var (_, output, _) = await RunAsync(["clients", file]);

        Assert.Contains("certs.d/ghcr.io/hosts.toml", output);
        Assert.Contains("server = \"https://ghcr.io\"", output);
        Assert.Contains("prefix = \"ghcr.io\"\n", output);
        Assert.Contains("[[registry.mirror]]\nlocation = \"mirror.example:5000/ghcr.io\"\n", output);
        Assert.Contains("[registry.\"ghcr.io\"]\n  mirrors = [\"mirror.example:5000\"]\n", output);
        Assert.Contains("  \"ghcr.io\":\n    endpoint:\n      - \"http://mirror.example:5000\"\n", output);
    }

    [Fact]
    public async Task The_clients_of_a_plain_registry_learn_that_it_is_insecure()
    {
        var (_, output, _) = await RunAsync(["clients", Write("version: 0.1\nhttp: {addr: \"10.0.0.1:5000\"}\n")]);

        Assert.Contains("\"insecure-registries\": [\"10.0.0.1:5000\"]", output);
        Assert.DoesNotContain("registry-mirrors", output);
        Assert.Contains("command = [\"--insecure-registry\", \"10.0.0.1:5000\"]\n", output);
    }

    [Fact]
    public async Task Clients_that_put_a_path_after_v2_get_no_settings()
    {
        var file = Write("version: 0.1\nhttp: {addr: \"10.0.0.1:5000\", prefix: /docker/}\nproxy: {remoteurl: https://docker.io}\n");

        var (_, output, _) = await RunAsync(["clients", file]);

        Assert.Contains("\"registry-mirrors\": [\"http://10.0.0.1:5000/docker\"]", output);
        Assert.Contains("# Not possible while the registry is under /docker", output);
        Assert.DoesNotContain("mirrors = [", output);
    }

    private string Write(string yaml)
    {
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName() + ".yml");
        File.WriteAllText(path, yaml);
        return path;
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(args, new Dictionary<string, string>(), output, error);
        return (code, output.ToString(), error.ToString());
    }
}
