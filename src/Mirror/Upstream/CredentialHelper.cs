using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Runs a Docker credential helper (<c>proxy.exec</c>) and keeps its answer for the configured lifetime. As with <c>registry:3</c>, an
/// unset lifetime keeps the answer for ever. Zero runs the helper for each request; requests that come while it runs share its answer.
/// </summary>
public sealed class CredentialHelper(CredentialHelperOptions exec, Uri registry, TimeProvider time)
{
    private static readonly TimeSpan HelperTimeout = TimeSpan.FromSeconds(30);

    private readonly SingleFlight<Uri, Answer> _runs = new();
    private Answer? _last;

    /// <summary>The credential to use now.</summary>
    /// <exception cref="UpstreamUnavailableException">The helper failed.</exception>
    public async ValueTask<Credential?> GetAsync(CancellationToken cancellationToken)
    {
        if (_last is { } last && (exec.Lifetime is not { } lifetime || time.GetElapsedTime(last.At) < lifetime))
            return last.Credential;
        return (await _runs.JoinOrStart(registry, RunAsync, cancellationToken)).Result.Credential;
    }

    // The protocol of credential helpers: "<command> get", the server's address on standard input, JSON on standard output.
    private async Task<Answer> RunAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(HelperTimeout);
        try
        {
            using var helper = Process.Start(new ProcessStartInfo(exec.Command, ["get"])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            try
            {
                await helper.StandardInput.WriteLineAsync(registry.ToString().AsMemory(), limit.Token);
                helper.StandardInput.Close();
                var errors = ReadAsync(helper.StandardError, limit.Token);
                var output = await ReadAsync(helper.StandardOutput, limit.Token);
                await errors;
                await helper.WaitForExitAsync(limit.Token);
                if (helper.ExitCode != 0)
                    throw new UpstreamUnavailableException($"The credential helper of proxy.exec ended with exit code {helper.ExitCode}.");
                return _last = new Answer(Parse(output), time.GetTimestamp());
            }
            finally
            {
                if (!helper.HasExited)
                    helper.Kill(entireProcessTree: true);
            }
        }
        // The helper's output may hold the secret: keep it out of the message.
        catch (Exception failure) when (
            failure is FormatException or InvalidOperationException or Win32Exception or IOException
            || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new UpstreamUnavailableException($"The credential helper of proxy.exec failed: {failure.GetType().Name}.");
        }
    }

    private static async Task<string> ReadAsync(StreamReader from, CancellationToken cancellationToken)
    {
        const int max = 64 * 1024;
        var buffer = new char[max];
        var read = await from.ReadBlockAsync(buffer, cancellationToken);
        return read < max ? new(buffer, 0, read) : throw new IOException("too much output");
    }

    /// <exception cref="FormatException">The output is not what the protocol asks for.</exception>
    internal static Credential Parse(string output)
    {
        try
        {
            using var json = JsonDocument.Parse(output);
            return new Credential(Text(json, "Username"), Text(json, "Secret"));
        }
        catch (Exception malformed) when (malformed is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException("It is no JSON with Username and Secret.");
        }
    }

    private static string Text(JsonDocument json, string property) => json.RootElement.GetProperty(property).GetString() ?? "";

    private sealed record Answer(Credential Credential, long At);
}
