using System.Collections.Concurrent;
using Mirror.Admin;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Web;

/// <summary>
/// Images that were warmed by a page, and go on without it. A few run at a time. The last outcomes are kept in memory.
/// </summary>
internal sealed class Warming(Warmer warmer, IHostApplicationLifetime lifetime)
{
    private const int MaxRunning = 8;
    private const int MaxKept = 20;

    private readonly Lock _gate = new();
    private readonly Queue<(RepositoryName Name, string Text)> _kept = new();
    private readonly ConcurrentDictionary<string, WarmProgress> _progress = new();
    private int _running;

    /// <summary>What was warmed, the newest first.</summary>
    public IReadOnlyList<(RepositoryName Name, WarmProgress Progress)> List()
    {
        lock (_gate)
            return [.. _kept.Reverse().Select(each => (each.Name, _progress[each.Text]))];
    }

    /// <summary>Starts to fetch an image; it does not start again what runs.</summary>
    /// <exception cref="RegistryException">As many run as may.</exception>
    public void Start(ImageName image, string text, string platform)
    {
        lock (_gate)
        {
            if (_progress.TryGetValue(text, out var before) && before.State is WarmState.Running)
                return;
            if (_running >= MaxRunning)
                throw new RegistryException(
                    RegistryError.TooManyRequests, $"{MaxRunning} images are being fetched already; try again later");
            _running++;
            if (before is null)
                _kept.Enqueue((image.Name, text));
            _progress[text] = new WarmProgress(text, WarmState.Running, 0, 0, 0, null);
            while (_kept.Count > MaxKept && _progress[_kept.Peek().Text].State is not WarmState.Running)
                _progress.TryRemove(_kept.Dequeue().Text, out _);
        }
        _ = RunAsync(image, text, platform);
    }

    private async Task RunAsync(ImageName image, string text, string platform)
    {
        try
        {
            await warmer.RunAsync(image, text, [platform], Report, lifetime.ApplicationStopping);
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
        catch (Exception failure)
        {
            await Report(new WarmProgress(text, WarmState.Failed, 0, 0, 0, failure.Message));
            throw;
        }
        finally
        {
            lock (_gate)
                _running--;
        }

        ValueTask Report(WarmProgress progress)
        {
            lock (_gate)
                if (_progress.ContainsKey(text))
                    _progress[text] = progress;
            return ValueTask.CompletedTask;
        }
    }
}
