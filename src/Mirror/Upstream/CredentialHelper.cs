using System.Diagnostics;
using System.Text.Json;
using Mirror.Configuration;

namespace Mirror.Upstream;

/// <summary>
/// A Docker credential helper (<c>proxy.exec</c>), whose answer is kept for its lifetime: unset means for ever, zero means asked every time, as
/// <c>registry:3</c> reads it.
/// </summary>
public sealed class CredentialHelper(CredentialHelperOptions exec, Uri registry, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan HelperTimeout = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _one = new(1);
    private (Credential? Credential, DateTimeOffset AskedAt)? _asked;

    /// <summary>The credential to use now; null means anonymous.</summary>
    /// <exception cref="UpstreamUnavailableException">The helper failed.</exception>
    public async ValueTask<Credential?> GetAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            if (_asked is not { } asked || exec.Lifetime is { } lifetime && time.GetUtcNow() - asked.AskedAt >= lifetime)
                _asked = asked = (await AskAsync(exec.Command, cancellationToken), time.GetUtcNow());
            return asked.Credential;
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    // The credential helper protocol: "<command> get", the server's address on standard input, JSON on standard output.
    private async Task<Credential?> AskAsync(string command, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(HelperTimeout);
        try
        {
            using var helper = Process.Start(new ProcessStartInfo(command, ["get"])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            try
            {
                await helper.StandardInput.WriteLineAsync(registry.ToString().AsMemory(), limit.Token);
                helper.StandardInput.Close();
                var reading = helper.StandardError.ReadToEndAsync(limit.Token);
                var output = await helper.StandardOutput.ReadToEndAsync(limit.Token);
                await reading;
                await helper.WaitForExitAsync(limit.Token);
                if (helper.ExitCode != 0)
                    throw new UpstreamUnavailableException($"The credential helper of proxy.exec.command ended with exit code {helper.ExitCode}.");
                using var json = JsonDocument.Parse(output);
                return new Credential(json.RootElement.GetProperty("Username").GetString() ?? "", json.RootElement.GetProperty("Secret").GetString() ?? "");
            }
            finally
            {
                if (!helper.HasExited)
                    helper.Kill(entireProcessTree: true);
            }
        }
        // Its output may hold the secret, so none of it goes into the message.
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or System.ComponentModel.Win32Exception or IOException
            || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new UpstreamUnavailableException($"The credential helper of proxy.exec.command failed: {failure.GetType().Name}.");
        }
    }
}
