using System.Runtime.Versioning;
using Mirror.Configuration;
using Mirror.Tests.Peers;
using Mirror.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary><c>proxy.exec</c>: a program that speaks the protocol of Docker's credential helpers.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class CredentialHelperTests : IDisposable
{
    private const string Account = """{"ServerURL":"","Username":"me","Secret":"hunter2"}""";

    private readonly TempFolder _folder = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("https://registry.example", "registry.example")]
    [InlineData("https://registry.example:5000", "registry.example:5000")]
    [InlineData("https://registry.example", "https://registry.example/")]
    [InlineData("https://registry-1.docker.io", "registry-1.docker.io")]
    [InlineData("https://registry-1.docker.io", "auth.docker.io")]
    [InlineData("https://registry-1.docker.io", "https://index.docker.io/v1/")]
    public async Task A_helper_is_asked_by_the_name_that_it_knows(string upstream, string known)
    {
        // A helper compares the whole input, without a line break, as docker and registry:3 write it.
        var helper = Helper(upstream, $$"""
            [ "$1" = get ] || exit 2
            name=$(cat; echo .)
            [ "$name" = "{{known}}." ] || exit 1
            echo '{{Account}}'
            """);

        await HasAccountAsync(helper);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("no JSON")]
    [InlineData("""{"Username":"","Secret":""}""")]
    public async Task A_helper_may_say_without_an_exit_code_that_it_does_not_know_a_name(string said)
    {
        var helper = Helper("https://registry.example", $$"""
            [ "$(cat)" = "https://registry.example/" ] && echo '{{Account}}' || echo '{{said}}'
            """);

        await HasAccountAsync(helper);
    }

    [Fact]
    public async Task A_helper_need_not_read_the_name()
    {
        var helper = Helper("https://registry.example", $"exec 0<&-\necho '{Account}'");

        for (var i = 0; i < 20; i++)
            await HasAccountAsync(helper);
    }

    [Fact]
    public async Task A_helper_that_knows_no_name_is_an_error_with_its_exit_code()
    {
        var helper = Helper("https://registry.example", "echo 'credentials not found in native keychain'\nexit 3");

        var failure = await Assert.ThrowsAsync<UpstreamUnavailableException>(() => helper.GetAsync(Stop).AsTask());
        Assert.EndsWith("exit code 3.", failure.Message);
    }

    // As clients in Go read JSON.
    [Theory]
    [InlineData("""{"username":"me","secret":"hunter2"}""")]
    [InlineData("""{"USERNAME":"x","Username":"me","sEcret":"hunter2"}""")]
    public async Task The_names_of_an_answer_may_be_in_any_case(string said) =>
        await HasAccountAsync(Helper("https://registry.example", $"echo '{said}'"));

    [Fact]
    public async Task A_helper_may_write_much_to_its_standard_error() =>
        await HasAccountAsync(Helper("https://registry.example", $"head -c 300000 /dev/zero >&2\necho '{Account}'"));

    [Fact]
    public async Task A_process_that_the_helper_leaves_behind_is_not_waited_for() =>
        await HasAccountAsync(Helper("https://registry.example", $"sleep 60 &\necho '{Account}'"));

    [Theory]
    [InlineData("echo hello", "printed something else than JSON with Username and Secret.")]
    [InlineData("echo '{\"Username\":\"me\"}'", "printed something else than JSON with Username and Secret.")]
    [InlineData("head -c 100000 /dev/zero", "printed too much.")]
    [InlineData("exit 7", "ended with exit code 7.")]
    public async Task What_a_helper_did_wrong_is_said_in_words(string script, string words)
    {
        var helper = Helper("https://registry.example", $"cat > /dev/null\n{script}");
        var failure = await Assert.ThrowsAsync<UpstreamUnavailableException>(() => helper.GetAsync(Stop).AsTask());
        Assert.EndsWith(words, failure.Message);
    }

    [Theory]
    [InlineData(true, "cannot be run: the command is not executable")]
    [InlineData(false, "cannot be run: the command does not exist.")]
    public async Task A_command_that_cannot_be_run_is_said_in_words(bool exists, string words)
    {
        var command = Path.Combine(_folder.Path, "command");
        if (exists)
            _folder.Write("command", "#!/bin/sh\n");
        var helper = new CredentialHelper(new() { Command = command }, new Uri("https://registry.example"), TimeProvider.System);
        var failure = await Assert.ThrowsAsync<UpstreamUnavailableException>(() => helper.GetAsync(Stop).AsTask());
        Assert.Contains(words, failure.Message);
    }

    private static async Task HasAccountAsync(CredentialHelper helper)
    {
        var credential = await helper.GetAsync(Stop);
        Assert.Equal(("me", "hunter2"), (credential?.Username, credential?.Secret));
    }

    // With a lifetime of zero each call runs the program.
    private CredentialHelper Helper(string upstream, string script)
    {
        _folder.Write("helper", $"#!/bin/sh\n{script}\n");
        var command = Path.Combine(_folder.Path, "helper");
        File.SetUnixFileMode(command, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new CredentialHelper(
            new CredentialHelperOptions { Command = command, Lifetime = TimeSpan.Zero }, new Uri(upstream), TimeProvider.System);
    }
}
