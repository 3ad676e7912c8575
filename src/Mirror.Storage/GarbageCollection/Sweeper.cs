using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Removes what nothing names: marks from the names of every repository, then sweeps the content. Beside a serving registry, in its process or
/// another, and without a pause for pushes.
/// </summary>
/// <remarks>
/// <para>Why no acknowledged image ever breaks. A push (a) has its blobs, however they came there, (b) links its manifest and tags it, (c) claims
/// all of it (<see cref="PushProtection"/>), and only then (d) is acknowledged. A sweep (1) takes the time T, (2) marks everything that the names
/// hold, (3) removes what is unmarked and was not claimed since T minus the grace. A claim and a removal of the same content never both succeed
/// (<see cref="ISweepStore.SweepContentAsync"/>): the removal takes the content out of reach first and looks at its age then.</para>
/// <para>Take any content of an acknowledged push, claimed at C. It was there at C, so it was not removed before. If C is T or later, a removal after
/// C sees that claim and gives way. If C is before T, the names were all there before T, so the mark that follows T found them. There is no
/// third case, no matter how long either side takes or stands still, and for any grace, even none. There is one sweep at a time, and
/// both moments are told by the store's clock.</para>
/// <para>The grace is not for that but for pushes under way: a blob is there a while before a manifest names it. HEAD, mount and upload renew it,
/// so that it stays for the grace from then on; a push that takes longer is told which blob is missing, and sends that again.</para>
/// <para>Nothing is removed on an incomplete mark: what cannot be read ends the sweep. A manifest whose bytes are damaged cannot say what it
/// refers to; all blobs of its repository stay until it is repaired or deleted.</para>
/// </remarks>
public sealed class Sweeper(IContentStore content, IReferenceStore references, ISweepStore store)
{
    /// <summary>Sweeps once; null where another sweep is running.</summary>
    /// <param name="progress">Is told each step, in the words of <c>registry garbage-collect</c>; null for none.</param>
    public async Task<SweepResult?> SweepAsync(SweepOptions options, Action<string>? progress, CancellationToken cancellationToken)
    {
        await using var turn = await store.BeginAsync(cancellationToken);
        return turn is null ? null : await new Sweep(content, references, store, options, turn.Began, progress, cancellationToken).RunAsync();
    }
}
